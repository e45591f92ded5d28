namespace Engine.Kernels.Tests;

/// <summary><see cref="OpCheck"/> with assertions.</summary>
internal static unsafe class Forward
{
    /// <summary>Asserts that an output is as close to the float64 reference as the case demands.</summary>
    public static void Compare(OpCase c, ReferenceTensor<double> exact, ReferenceTensor<float> naive, ReferenceTensor<float> actual) => Assert.Null(OpCheck.Compare(c, exact, naive, actual));

    public static void Encode(ReferenceTensor<float> tensor, byte* to) => OpCheck.Encode(tensor, to);

    public static ReferenceTensor<float> Decode(TensorType type, byte* from) => OpCheck.Decode(type, from);
}
