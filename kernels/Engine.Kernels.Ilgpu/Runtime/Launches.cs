namespace Engine.Kernels.Ilgpu.Runtime;

/// <summary>What a launch gives a kernel for a parameter.</summary>
internal enum ArgumentKind
{
    /// <summary>The view of an operand.</summary>
    Operand,
    /// <summary>A view of scratch memory.</summary>
    Scratch,
    /// <summary>The bits of a number.</summary>
    Number,
}

/// <summary>An argument of a launch.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Value">The operand's number, the first byte of scratch memory, or the bits.</param>
/// <param name="Bytes">How many bytes of scratch memory.</param>
internal readonly record struct Argument(ArgumentKind Kind, long Value, long Bytes = 0)
{
    /// <summary>An operand: the inputs come first, then the outputs.</summary>
    public static Argument Operand(int number) => new(ArgumentKind.Operand, number);

    /// <summary>Scratch memory, from a multiple of 64 on.</summary>
    public static Argument Scratch(long at, long bytes) => new(ArgumentKind.Scratch, at, bytes);

    public static implicit operator Argument(int number) => new(ArgumentKind.Number, number);

    public static implicit operator Argument(float number) => new(ArgumentKind.Number, BitConverter.SingleToInt32Bits(number));
}

/// <summary>A launch of a kernel.</summary>
/// <param name="Source">The kernel.</param>
/// <param name="Items">Work-items; none: no launch.</param>
/// <param name="Arguments">By parameter.</param>
/// <param name="Heavy">A work-item computes so much that a group may be one.</param>
internal sealed record LaunchPlan(KernelSource Source, long Items, Argument[] Arguments, bool Heavy = false)
{
    /// <summary>Two operands of which one is copied to the other: no launch where they are the same memory.</summary>
    public (int First, int Second)? Apart { get; init; }
}

/// <summary>The launches of an op at fixed types, one after another.</summary>
/// <param name="Variant">Which way, for people.</param>
/// <param name="Launches">In order.</param>
/// <param name="ScratchBytes">Scratch memory that they share.</param>
internal sealed record KernelPlan(string Variant, LaunchPlan[] Launches, long ScratchBytes = 0)
{
    /// <summary>Nothing to do.</summary>
    public static readonly KernelPlan Nothing = new("no elements", []);
}

/// <summary>Scratch memory as it is given out.</summary>
internal sealed class Scratch
{
    /// <summary>Bytes so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>So many bytes more.</summary>
    public Argument Take(long bytes)
    {
        long at = Bytes;
        Bytes += (Math.Max(bytes, 1) + 63) / 64 * 64;
        return Argument.Scratch(at, bytes);
    }
}
