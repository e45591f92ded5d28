namespace Engine.Kernels.Cpu;

/// <summary>What happens to a product before it is written: C = mask(residual + relu(op(A) op(B) [+ C] [+ bias])). Flags in the order in which
/// they apply; each is one rounding, as in the separate operations, so that fusing them changes no bit.</summary>
[Flags]
public enum GemmEpilogue
{
    /// <summary>C = op(A) op(B).</summary>
    None = 0,
    /// <summary>Adds to what C holds.</summary>
    Accumulate = 1,
    /// <summary>Adds bias[j] to column j.</summary>
    Bias = 2,
    /// <summary>x where x > 0, else +0; NaN stays NaN.</summary>
    Relu = 4,
    /// <summary>Adds to what a matrix of C's layout holds, which may be C itself.</summary>
    Residual = 8,
    /// <summary>Keeps what lies where another matrix of C's layout is above 0; +0 elsewhere, and where that is NaN: what a rectifier does to a gradient.</summary>
    Mask = 16,
    /// <summary>Bias, then rectifier.</summary>
    BiasRelu = Bias | Relu,
}
