using Engine.Kernels;
using Buffer = Engine.Kernels.Buffer;

namespace Engine.Algorithms.Policies;

/// <summary>A device for tracing alone: variables are declared on it and take no memory.</summary>
internal sealed class DeclaringDevice : Device
{
    public override string Name => "declaring";

    public override string Description => "declares variables and runs nothing";

    public override bool HoldsData => false;

    public override Buffer Allocate(long bytes) => new Nothing(bytes);

    public override bool Implements(Op op, TensorType[] inputs, TensorType[] outputs) => true;

    public override Executable Load(Plan plan) => throw new DeviceException("device declaring runs nothing");

    private sealed class Nothing(long bytes) : Buffer
    {
        public override long Bytes => bytes;

        public override nint Address => 0;

        public override void Write(ReadOnlySpan<byte> source, long offset = 0) { }

        public override void Read(Span<byte> destination, long offset = 0) => throw new DeviceException("device declaring holds no data");
    }
}
