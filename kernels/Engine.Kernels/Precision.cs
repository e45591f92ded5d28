using System.Text.Json.Serialization;

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
    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,
}

/// <summary>What a precision does, and its name.</summary>
public static class Precisions
{
    /// <summary>The names that commands and files use: float32, tf32, bfloat16.</summary>
    public static IReadOnlyList<string> Names { get; } = Array.ConvertAll(Enum.GetValues<Precision>(), Name);

    /// <summary>The name that commands and files use.</summary>
    public static string Name(this Precision precision) => precision.ToString().ToLowerInvariant();

    /// <summary>A factor as it is multiplied. NaN and infinity stay what they are.</summary>
    public static float Round(this Precision precision, float x) => precision switch
    {
        Precision.TF32 when float.IsFinite(x) => BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(x) + 0x1000) & ~0x1FFFu),
        Precision.BFloat16 => Bfloat16.Round(x),
        _ => x,
    };
}
