namespace Engine.Kernels.Cuda;

/// <summary>Sizes of a grid (in blocks) or of a block (in threads).</summary>
public readonly record struct Dim3(int X, int Y = 1, int Z = 1);

/// <summary>What a device can do, as far as the choice of a kernel depends on it.</summary>
/// <param name="Architecture">Compute capability, 10 major + minor: 90 for an H200.</param>
/// <param name="Multiprocessors">Number of multiprocessors.</param>
/// <param name="SharedBytes">Largest shared memory of a block that a kernel may ask for.</param>
/// <param name="Precision">How precisely products of matrices are computed: chosen for the device (<see cref="CudaDevice.Precision"/>).</param>
public sealed record CudaLimits(int Architecture, int Multiprocessors, int SharedBytes, Precision Precision = Precision.Float32);

/// <summary>One argument of a kernel: an operand's address, scratch memory, or a number known when the plan is loaded.</summary>
public readonly struct KernelArgument
{
    private KernelArgument(ArgumentKind kind, long bits) => (Kind, Bits) = (kind, bits);

    /// <summary>What it is.</summary>
    public ArgumentKind Kind { get; }

    /// <summary>The operand's number, the offset in scratch, or the bits of the number.</summary>
    public long Bits { get; }

    /// <summary>The address of an operand: the inputs come first, then the outputs.</summary>
    public static KernelArgument Operand(int index) => new(ArgumentKind.Operand, index);

    /// <summary>An address in the scratch memory of the kernel (<see cref="CudaKernel.ScratchBytes"/>).</summary>
    public static KernelArgument Scratch(long offset = 0) => new(ArgumentKind.Scratch, offset);

    /// <summary>A 32-bit int.</summary>
    public static implicit operator KernelArgument(int value) => new(ArgumentKind.Int32, value);

    /// <summary>A 64-bit int.</summary>
    public static implicit operator KernelArgument(long value) => new(ArgumentKind.Int64, value);

    /// <summary>A 32-bit float.</summary>
    public static implicit operator KernelArgument(float value) => new(ArgumentKind.Float32, BitConverter.SingleToInt32Bits(value));
}

/// <summary>Kinds of arguments.</summary>
public enum ArgumentKind
{
    /// <summary>Address of an operand.</summary>
    Operand,
    /// <summary>Address in scratch memory.</summary>
    Scratch,
    /// <summary>A number.</summary>
    Int32,
    /// <summary>A number.</summary>
    Int64,
    /// <summary>A number.</summary>
    Float32,
}

/// <summary>One launch of a function of the embedded modules, or of PTX text made for it.</summary>
/// <param name="Function">Name of the entry.</param>
/// <param name="Grid">Blocks.</param>
/// <param name="Block">Threads of a block.</param>
/// <param name="Arguments">In the order of the entry's parameters.</param>
/// <param name="SharedBytes">Dynamic shared memory.</param>
/// <param name="Ptx">The text that holds the entry, if it is not in the embedded modules.</param>
/// <param name="Apart">Two operands; where they are one place in memory the launch is left out. Null: it is never.</param>
public sealed record KernelLaunch(string Function, Dim3 Grid, Dim3 Block, KernelArgument[] Arguments, int SharedBytes = 0, string? Ptx = null, (int First, int Second)? Apart = null);

/// <summary>An op compiled for fixed shapes: its launches in order. No launches: nothing to do (no elements).</summary>
/// <param name="Variant">The implementation's name, for <c>Explain()</c>.</param>
/// <param name="Launches">In order.</param>
/// <param name="ScratchBytes">Memory that the launches share and nobody else uses while they run; its content is undefined at first.</param>
public sealed record CudaKernel(string Variant, KernelLaunch[] Launches, long ScratchBytes = 0);
