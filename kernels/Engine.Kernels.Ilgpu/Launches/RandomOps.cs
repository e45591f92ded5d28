using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Named draws: a work-item a Philox block of four words. The library's generators are others.</summary>
internal static class RandomOps
{
    private static KernelSource Of(string name) => KernelSource.Of(typeof(RandomOps), name);

    public static KernelPlan Uniform(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) => Draw((RandomOp)op, inputs, nameof(Uniforms), Result(op, inputs));

    public static KernelPlan Normal(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) => Draw((RandomOp)op, inputs, nameof(Normals), Result(op, inputs));

    public static KernelPlan Integer(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) => Draw((RandomOp)op, inputs, nameof(Integers), Result(op, inputs), Operand(1));

    public static KernelPlan Permutation(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        int n = (int)outputs[0].Elements;
        var scratch = new Scratch();
        var words = scratch.Take(4L * n);
        var launches = new List<LaunchPlan>(Draw((RandomOp)op, inputs, nameof(Words), words).Launches);
        Sorting.Positions(launches, scratch, words, n, n, typeof(int), typeof(Unsigned), Result(op, inputs));
        return new("philox, merges", launches.ToArray(), scratch.Bytes);
    }

    private static Argument Result(Op op, TensorType[] inputs) => Operand(inputs.Length);

    private static KernelPlan Draw(RandomOp op, TensorType[] inputs, string name, Argument to, params Argument[] before)
    {
        bool indexed = inputs.Length > op.BaseInputs;
        ulong hash = Philox.NameHash(op.Draw);
        int total = (int)op.To.Elements;
        return new("philox", [new(Of(name), (total + 3L) / 4, [Operand(0), Operand(indexed ? op.BaseInputs : 0), indexed ? 1 : 0, unchecked((int)hash), (int)(hash >> 32), total, .. before, to])]);
    }

    // Device code; i is the work-item.

    private static (uint X0, uint X1, uint X2, uint X3) Block(int i, ArrayView<int> state, ArrayView<int> index, int indexed, int hashLow, int hashHigh)
    {
        ulong seed = (uint)state[0] | ((ulong)(uint)state[1] << 32), hash = (uint)hashLow | ((ulong)(uint)hashHigh << 32), key = Philox.Mix(seed ^ hash);
        int step = 0;
        if (indexed != 0) step = index[0];
        return Philox.Block((uint)i, (uint)step, (uint)state[2], 0, (uint)key, (uint)(key >> 32));
    }

    private static void Words(int i, ArrayView<int> state, ArrayView<int> index, int indexed, int hashLow, int hashHigh, int total, ArrayView<int> y)
    {
        var (a, b, c, d) = Block(i, state, index, indexed, hashLow, hashHigh);
        Write(i, (int)a, (int)b, (int)c, (int)d, total, y);
    }

    private static void Write<T>(int i, T a, T b, T c, T d, int total, ArrayView<T> y) where T : unmanaged
    {
        int at = 4 * i;
        y[at] = a;
        if (at + 1 < total) y[at + 1] = b;
        if (at + 2 < total) y[at + 2] = c;
        if (at + 3 < total) y[at + 3] = d;
    }

    // 24 bits are exact in float32.
    private static float Unit(uint word) => (int)(word >> 8) * (1f / 16777216f);

    private static void Uniforms(int i, ArrayView<int> state, ArrayView<int> index, int indexed, int hashLow, int hashHigh, int total, ArrayView<float> y)
    {
        var (a, b, c, d) = Block(i, state, index, indexed, hashLow, hashHigh);
        Write(i, Unit(a), Unit(b), Unit(c), Unit(d), total, y);
    }

    private static void Integers(int i, ArrayView<int> state, ArrayView<int> index, int indexed, int hashLow, int hashHigh, int total, ArrayView<int> bounds, ArrayView<int> y)
    {
        var (a, b, c, d) = Block(i, state, index, indexed, hashLow, hashHigh);
        int bound = bounds[0];
        Write(i, Philox.Integer(a, bound), Philox.Integer(b, bound), Philox.Integer(c, bound), Philox.Integer(d, bound), total, y);
    }

    private static void Normals(int i, ArrayView<int> state, ArrayView<int> index, int indexed, int hashLow, int hashHigh, int total, ArrayView<float> y)
    {
        var (a, b, c, d) = Block(i, state, index, indexed, hashLow, hashHigh);
        var (first, second) = Pair(a, b);
        var (third, fourth) = Pair(c, d);
        Write(i, (float)first, (float)second, (float)third, (float)fourth, total, y);
    }

    /// <summary>BoxMuller's pair, operation by operation.</summary>
    private static (double A, double B) Pair(uint x, uint y)
    {
        double radius = Math.Sqrt(-2.0 * Log(((double)x + 1.0) * (1.0 / 4294967296.0)));
        var (sine, cosine) = SinCos(2.0 * Math.PI * ((double)y * (1.0 / 4294967296.0)));
        return (radius * cosine, radius * sine);
    }

    private static double Log(double x)
    {
        long bits = (long)Interop.FloatAsInt(x);
        long exponent = (long)((ulong)(bits + ((1023L << 52) - 0x3FE6A09E667F3BCDL)) >> 52) - 1023L;
        double n = exponent;
        double f = Interop.IntAsFloat((ulong)(bits - (exponent << 52))) - 1.0;
        double s = f / (2.0 + f), z = s * s, r = 2.0 / 23.0;
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 21.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 19.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 17.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 15.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 13.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 11.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 9.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 7.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 5.0);
        r = Math.FusedMultiplyAdd(r, z, 2.0 / 3.0);
        double halfSquare = 0.5 * f * f;
        double low = Math.FusedMultiplyAdd(s, halfSquare + z * r, n * 1.90821492927058770002e-10);
        return Math.FusedMultiplyAdd(n, 6.93147180369123816490e-01, f - (halfSquare - low));
    }

    private static (double Sine, double Cosine) SinCos(double x)
    {
        int turns = (int)(x * 6.36619772367581382433e-01 + 0.5); // quarter turns, 0 to 4
        double n = turns;
        double r = Math.FusedMultiplyAdd(n, -1.57079632679489655800e+00, x);
        r = Math.FusedMultiplyAdd(n, -6.12323399573676603587e-17, r);
        double z = r * r, p = 1.0 / 355687428096000.0;
        p = Math.FusedMultiplyAdd(p, z, -1.0 / 1307674368000.0);
        p = Math.FusedMultiplyAdd(p, z, 1.0 / 6227020800.0);
        p = Math.FusedMultiplyAdd(p, z, -1.0 / 39916800.0);
        p = Math.FusedMultiplyAdd(p, z, 1.0 / 362880.0);
        p = Math.FusedMultiplyAdd(p, z, -1.0 / 5040.0);
        p = Math.FusedMultiplyAdd(p, z, 1.0 / 120.0);
        p = Math.FusedMultiplyAdd(p, z, -1.0 / 6.0);
        double s = Math.FusedMultiplyAdd(p * z, r, r), q = -1.0 / 6402373705728000.0;
        q = Math.FusedMultiplyAdd(q, z, 1.0 / 20922789888000.0);
        q = Math.FusedMultiplyAdd(q, z, -1.0 / 87178291200.0);
        q = Math.FusedMultiplyAdd(q, z, 1.0 / 479001600.0);
        q = Math.FusedMultiplyAdd(q, z, -1.0 / 3628800.0);
        q = Math.FusedMultiplyAdd(q, z, 1.0 / 40320.0);
        q = Math.FusedMultiplyAdd(q, z, -1.0 / 720.0);
        q = Math.FusedMultiplyAdd(q, z, 1.0 / 24.0);
        double half = 0.5 * z, high = 1.0 - half, c = high + ((1.0 - high) - half + z * z * q);
        bool odd = turns == 1 || turns == 3;
        double sine = odd ? c : s, cosine = odd ? s : c;
        return (turns == 2 || turns == 3 ? -sine : sine, turns == 1 || turns == 2 ? -cosine : cosine);
    }
}
