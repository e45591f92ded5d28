using ILGPU.Runtime;
using ILGPU.Runtime.CPU;

namespace Engine.Kernels.Ilgpu.Runtime;

/// <summary>Memory that writes are copied out of: a write returns when it is queued, and waits only when so much is under way that nothing is free.</summary>
internal sealed class Staging(Accelerator accelerator, AcceleratorStream queue)
{
    private readonly byte[] _memory = GC.AllocateUninitializedArray<byte>(4 << 20, pinned: true);
    private int _used;

    /// <summary>Queues a copy to the accelerator; the source may change when this returns.</summary>
    public void Write(ReadOnlySpan<byte> source, MemoryBuffer target, long offset)
    {
        while (source.Length > 0)
        {
            if (_used == _memory.Length) Wait();
            int n = Math.Min(source.Length, _memory.Length - _used);
            source[..n].CopyTo(_memory.AsSpan(_used));
            // What looks like memory of ILGPU is a view of ours.
            using var from = CPUMemoryBuffer.Create(accelerator, ref _memory[_used], n);
            target.CopyFrom(queue, from.AsRawArrayView(), offset);
            source = source[n..];
            offset += n;
            _used = Math.Min(_memory.Length, (_used + n + 63) / 64 * 64);
        }
    }

    /// <summary>Waits for everything that is queued.</summary>
    public void Wait()
    {
        queue.Synchronize();
        _used = 0;
    }
}
