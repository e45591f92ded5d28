using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu.Elementwise;

public sealed class SelectAndCastTests
{
    [Fact]
    public void Select_at_every_length_and_width()
    {
        float[] x = LoopHarness.Inputs(21), y = LoopHarness.Inputs(22);
        int[] p = LoopHarness.Integers(23), q = LoopHarness.Integers(24);
        byte[] condition = LoopHarness.Bools(25);
        // Any byte that is not 0 counts as true.
        condition[5] = 2;
        condition[6] = 255;
        const float S = -0f, U = 7f;
        foreach (SimdWidth width in Widths.All)
        {
            Check(LoopHarness.EveryLength<float>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), x.AsSpan(f, n), y.AsSpan(f, n), z, width)), i => condition[i] != 0 ? x[i] : y[i]);
            Check(LoopHarness.EveryLength<float>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), S, y.AsSpan(f, n), z, width)), i => condition[i] != 0 ? S : y[i]);
            Check(LoopHarness.EveryLength<float>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), x.AsSpan(f, n), S, z, width)), i => condition[i] != 0 ? x[i] : S);
            Check(LoopHarness.EveryLength<float>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), U, S, z, width)), i => condition[i] != 0 ? U : S);
            CheckInts(LoopHarness.EveryLength<int>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), p.AsSpan(f, n), q.AsSpan(f, n), z, width)), i => condition[i] != 0 ? p[i] : q[i]);
            CheckInts(LoopHarness.EveryLength<int>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), -3, q.AsSpan(f, n), z, width)), i => condition[i] != 0 ? -3 : q[i]);
            CheckInts(LoopHarness.EveryLength<int>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), p.AsSpan(f, n), 9, z, width)), i => condition[i] != 0 ? p[i] : 9);
            CheckInts(LoopHarness.EveryLength<int>("select", (f, n, z) => SelectLoops.Run(condition.AsSpan(f, n), 1, 2, z, width)), i => condition[i] != 0 ? 1 : 2);
        }
        float[] inPlace = [.. x];
        SelectLoops.Run(condition, inPlace, y, inPlace);
        Check(inPlace, i => condition[i] != 0 ? x[i] : y[i]);
    }

    private static void Check(float[] actual, Func<int, float> expected)
    {
        // The bits pass through, those of NaN included.
        for (int i = 0; i < actual.Length; i++) Assert.True(Bits.Of(expected(i)) == Bits.Of(actual[i]), $"element {i}: {actual[i]:R}, not {expected(i):R}");
    }

    private static void CheckInts(int[] actual, Func<int, int> expected)
    {
        for (int i = 0; i < actual.Length; i++) Assert.True(expected(i) == actual[i], $"element {i}: {actual[i]}, not {expected(i)}");
    }

    [Fact]
    public void Multiply_add_rounds_once()
    {
        float[] x = LoopHarness.Inputs(26), y = LoopHarness.Inputs(27), w = LoopHarness.Inputs(28);
        const float S = 1.00000012f, U = -1e-7f;
        foreach (SimdWidth width in Widths.All)
        {
            Same(LoopHarness.EveryLength<float>("fma", (f, n, z) => MultiplyAddLoops.Run(x.AsSpan(f, n), y.AsSpan(f, n), w.AsSpan(f, n), z, width)), i => MathF.FusedMultiplyAdd(x[i], y[i], w[i]));
            Same(LoopHarness.EveryLength<float>("fma", (f, n, z) => MultiplyAddLoops.Run(x.AsSpan(f, n), S, w.AsSpan(f, n), z, width)), i => MathF.FusedMultiplyAdd(x[i], S, w[i]));
            Same(LoopHarness.EveryLength<float>("fma", (f, n, z) => MultiplyAddLoops.Run(x.AsSpan(f, n), y.AsSpan(f, n), U, z, width)), i => MathF.FusedMultiplyAdd(x[i], y[i], U));
            Same(LoopHarness.EveryLength<float>("fma", (f, n, z) => MultiplyAddLoops.Run(x.AsSpan(f, n), S, U, z, width)), i => MathF.FusedMultiplyAdd(x[i], S, U));
        }

        static void Same(float[] actual, Func<int, float> expected)
        {
            for (int i = 0; i < actual.Length; i++) Bits.Same(expected(i), actual[i], $"fma, element {i},");
        }
    }

    [Fact]
    public void Bool_logic_at_every_length()
    {
        byte[] x = LoopHarness.Bools(29), y = LoopHarness.Bools(30);
        Check(LoopHarness.EveryLength<byte>("and", (f, n, z) => BoolLoops.And(x.AsSpan(f, n), y.AsSpan(f, n), z)), i => x[i] & y[i]);
        Check(LoopHarness.EveryLength<byte>("or", (f, n, z) => BoolLoops.Or(x.AsSpan(f, n), y.AsSpan(f, n), z)), i => x[i] | y[i]);
        Check(LoopHarness.EveryLength<byte>("xor", (f, n, z) => BoolLoops.Xor(x.AsSpan(f, n), y.AsSpan(f, n), z)), i => x[i] ^ y[i]);
        Check(LoopHarness.EveryLength<byte>("not", (f, n, z) => BoolLoops.Not(x.AsSpan(f, n), z)), i => 1 - x[i]);

        static void Check(byte[] actual, Func<int, int> expected)
        {
            for (int i = 0; i < actual.Length; i++) Assert.Equal(expected(i), actual[i]);
        }
    }

    private static int Truncate(float x) =>
        float.IsNaN(x) ? 0 : x >= 2147483648f ? int.MaxValue : x <= -2147483648f ? int.MinValue : (int)x;

    // Round to nearest even, spelt out: the neighbours below and above, and the nearer.
    private static ushort BFloat16(float x)
    {
        uint bits = Bits.Of(x), below = bits >> 16, rest = bits & 0xFFFF;
        if (float.IsNaN(x)) return (ushort)(below | 0x40);
        return (ushort)(rest > 0x8000 || (rest == 0x8000 && (below & 1) == 1) ? below + 1 : below);
    }

    [Fact]
    public void Casts_at_every_length_and_width()
    {
        float[] x = LoopHarness.Inputs(31);
        (x[0], x[1], x[2], x[3]) = (BitConverter.UInt32BitsToSingle(0x3F808000), BitConverter.UInt32BitsToSingle(0x3F818000), BitConverter.UInt32BitsToSingle(0x7F800001), BitConverter.UInt32BitsToSingle(0xFFFFFFFF));
        (x[4], x[5], x[6]) = (float.MaxValue, BitConverter.UInt32BitsToSingle(0x3F808001), -0f);
        int[] p = LoopHarness.Integers(32);
        byte[] b = LoopHarness.Bools(33), images = new byte[LoopHarness.MaxLength];
        for (int i = 0; i < images.Length; i++) images[i] = (byte)i;
        for (int i = 0; i < 40; i++) x[100 + i] = 6.25f * i - 0.5f; // halves, and beyond both ends
        ushort[] h = new ushort[LoopHarness.MaxLength];
        for (int i = 0; i < h.Length; i++) h[i] = (ushort)(i * 509);
        foreach (SimdWidth width in Widths.All)
        {
            int[] ints = LoopHarness.EveryLength<float, int>("float to int", x, (a, z) => CastLoops.FloatToInt(a, z, width));
            float[] floats = LoopHarness.EveryLength<int, float>("int to float", p, (a, z) => CastLoops.IntToFloat(a, z, width));
            ushort[] halves = LoopHarness.EveryLength<float, ushort>("float to bfloat16", x, (a, z) => CastLoops.FloatToBFloat16(a, z, width));
            float[] wide = LoopHarness.EveryLength<ushort, float>("bfloat16 to float", h, (a, z) => CastLoops.BFloat16ToFloat(a, z, width));
            float[] units = LoopHarness.EveryLength<byte, float>("bool to float", b, (a, z) => CastLoops.BoolToFloat(a, z, width));
            int[] ones = LoopHarness.EveryLength<byte, int>("bool to int", b, (a, z) => CastLoops.BoolToInt(a, z, width));
            byte[] set = LoopHarness.EveryLength<float, byte>("float to bool", x, (a, z) => CastLoops.FloatToBool(a, z, width));
            byte[] setInts = LoopHarness.EveryLength<int, byte>("int to bool", p, (a, z) => CastLoops.IntToBool(a, z, width));
            byte[] bytes = LoopHarness.EveryLength<float, byte>("float to byte", x, (a, z) => CastLoops.FloatToByte(a, z, width));
            byte[] bytesOfInts = LoopHarness.EveryLength<int, byte>("int to byte", p, (a, z) => CastLoops.IntToByte(a, z, width));
            byte[] bytesOfBools = LoopHarness.EveryLength<byte, byte>("bool to byte", b, (a, z) => CastLoops.BoolToByte(a, z, width));
            float[] pixels = LoopHarness.EveryLength<byte, float>("byte to float", images, (a, z) => CastLoops.ByteToFloat(a, z, width));
            int[] levels = LoopHarness.EveryLength<byte, int>("byte to int", images, (a, z) => CastLoops.ByteToInt(a, z, width));
            byte[] lit = LoopHarness.EveryLength<byte, byte>("byte to bool", images, (a, z) => CastLoops.ByteToBool(a, z, width));
            for (int i = 0; i < LoopHarness.MaxLength; i++)
            {
                Assert.True((float.IsNaN(x[i]) ? 0 : Math.Round(Math.Clamp((double)x[i], 0, 255), MidpointRounding.ToEven)) == bytes[i], $"{x[i]:R} to byte is {bytes[i]}");
                Assert.Equal(Math.Clamp(p[i], 0, 255), bytesOfInts[i]);
                Assert.Equal(b[i], bytesOfBools[i]);
                Assert.Equal(images[i], pixels[i]);
                Assert.Equal(images[i], levels[i]);
                Assert.Equal(images[i] != 0 ? 1 : 0, lit[i]);
                Assert.True(Truncate(x[i]) == ints[i], $"{x[i]:R} to int is {ints[i]}");
                Assert.Equal((float)p[i], floats[i]);
                Assert.True(BFloat16(x[i]) == halves[i], $"{x[i]:R} ({Bits.Of(x[i]):X8}) to bfloat16 is {halves[i]:X4}, not {BFloat16(x[i]):X4}");
                Assert.Equal((uint)h[i] << 16, Bits.Of(wide[i]));
                Assert.Equal(b[i], units[i]);
                Assert.Equal(b[i], ones[i]);
                Assert.Equal(x[i] != 0 ? 1 : 0, set[i]);
                Assert.Equal(p[i] != 0 ? 1 : 0, setInts[i]);
            }
        }
    }

    [Fact]
    public void Every_bfloat16_survives_the_way_to_float_and_back()
    {
        ushort[] all = new ushort[1 << 16], back = new ushort[1 << 16];
        for (int i = 0; i < all.Length; i++) all[i] = (ushort)i;
        float[] wide = new float[all.Length];
        CastLoops.BFloat16ToFloat(all, wide);
        CastLoops.FloatToBFloat16(wide, back);
        for (int i = 0; i < all.Length; i++) Assert.Equal(float.IsNaN(wide[i]) ? i | 0x40 : i, back[i]);
    }
}
