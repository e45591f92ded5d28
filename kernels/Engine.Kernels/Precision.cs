namespace Engine.Kernels;

/// <summary>
/// How precisely a device multiplies matrices. Whatever it is, tensors are float32 and sums are added in float32; only the factors of matrix products are rounded, when they are multiplied.
/// </summary>
public enum Precision
{
    /// <summary>Factors as they are, 24 bits: the only one that devices must know.</summary>
    Float32,
    /// <summary>Factors rounded to 11 bits, halves away from zero: tensor cores, compute capability 8.0.</summary>
    TF32,
    /// <summary>Factors rounded to 8 bits, halves to even: tensor cores, compute capability 8.0.</summary>
    BFloat16,
}
