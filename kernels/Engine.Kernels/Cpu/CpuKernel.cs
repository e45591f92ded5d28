namespace Engine.Kernels.Cpu;

/// <summary>
/// An op compiled for fixed shapes. Work is cut into chunks by shape alone, each writing a part of the outputs of its own, so that any
/// thread may run any chunk and the result is the same to the bit.
/// </summary>
public abstract unsafe class CpuKernel
{
    /// <summary>Number of independent pieces of work; at least 1.</summary>
    public int Chunks { get; protected init; } = 1;

    /// <summary>Bytes of scratch memory a thread needs.</summary>
    public long ScratchBytes { get; protected set; }

    /// <summary>The implementation's name, for <c>Explain()</c>.</summary>
    public virtual string Variant => GetType().Name;

    /// <summary>Elements the kernel goes over, where code compiled for it pays from some number on; else 0.</summary>
    public virtual long CompilableElements => 0;

    /// <summary>Has code compiled for it, where that can be; the bits stay. May change <see cref="ScratchBytes"/>.</summary>
    public virtual void Compile() { }

    /// <summary>Runs one piece.</summary>
    /// <param name="chunk">Which, 0..Chunks-1.</param>
    /// <param name="operands">Addresses of the inputs, then of the outputs.</param>
    /// <param name="scratch">At least <see cref="ScratchBytes"/>, aligned to 64, of the running thread.</param>
    public abstract void RunChunk(int chunk, void** operands, byte* scratch);

    /// <summary>Elements per chunk of an elementwise kernel: a few L1s of work, a multiple of every vector width.</summary>
    protected const int ElementsPerChunk = 16384;

    /// <summary>How many chunks of <see cref="ElementsPerChunk"/> cover the elements.</summary>
    protected static int ChunksFor(long elements) => (int)Math.Max(1, (elements + ElementsPerChunk - 1) / ElementsPerChunk);
}
