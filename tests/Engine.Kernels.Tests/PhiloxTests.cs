using System.Runtime.Intrinsics;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests;

public class PhiloxTests
{
    // Known answers of Random123's kat_vectors for philox4x32, 10 rounds.
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0u, 0u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void Known_answers(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, uint x0, uint x1, uint x2, uint x3) =>
        Assert.Equal((x0, x1, x2, x3), Philox.Block(c0, c1, c2, c3, k0, k1));

    [Fact]
    public unsafe void Eight_blocks_are_eight_times_one()
    {
        uint* words = stackalloc uint[PhiloxBlocks.Words];
        foreach (uint first in new[] { 0u, 77u, 0xFFFFFFFBu })
        {
            PhiloxBlocks.Eight(first, 5, 0xFFFFFFF0u, 9, (0xDEADBEEFu, 0xFFFFFFFFu), words);
            for (uint b = 0; b < 8; b++) Assert.Equal(Philox.Block(first + b, 5, 0xFFFFFFF0u, 9, 0xDEADBEEFu, 0xFFFFFFFFu), (words[4 * b], words[4 * b + 1], words[4 * b + 2], words[4 * b + 3]));
        }
    }

    /// <summary>The functions under the normals are the library's to an ulp or so, and at the ends of their ranges.</summary>
    [Fact]
    public void Logarithm_sine_and_cosine_of_normals_are_right_to_the_last_places()
    {
        var random = new Random(3);
        for (int i = 0; i < 200_000; i++)
        {
            double x = i switch { 0 => 1, 1 => 1.0 / 4294967296.0, 2 => Math.Sqrt(0.5), 3 => Math.BitDecrement(1.0), _ => (random.NextInt64(1L << 32) + 1.0) / 4294967296.0 };
            double log = BoxMuller.Log(Vector512.Create(x))[3], exact = Math.Log(x);
            Assert.True(Math.Abs(log - exact) <= 2 * (Math.BitIncrement(Math.Abs(exact)) - Math.Abs(exact)), $"log {x:R}: {log:R}, expected {exact:R}");
            double angle = i switch { 0 => 0, 1 => Math.PI / 4, 2 => Math.PI, 3 => 2 * Math.PI, _ => 2 * Math.PI * (random.NextInt64(1L << 32) / 4294967296.0) };
            var (sine, cosine) = BoxMuller.SinCos(Vector512.Create(angle));
            Assert.Equal(Math.Sin(angle), sine[5], 2.3e-16);
            Assert.Equal(Math.Cos(angle), cosine[5], 2.3e-16);
        }
        // Radius sqrt(-2 log 2^-32) and angle 0; radius 0.
        Assert.Equal((Math.Sqrt(64 * Math.Log(2)), 0), Philox.NormalPair(0, 0));
        Assert.Equal((0, 0), Philox.NormalPair(uint.MaxValue, 1u << 30));
    }

    [Fact]
    public void Uniforms_and_normals_have_their_moments()
    {
        var stream = new PhiloxStream(5, "moments");
        const int n = 200_000;
        double sum = 0, squares = 0, normal = 0, normalSquares = 0, fourth = 0;
        for (int i = 0; i < n; i++)
        {
            double u = stream.NextUnit(), z = stream.NextNormal();
            Assert.InRange(u, 0, 1 - 1e-9);
            (sum, squares, normal, normalSquares, fourth) = (sum + u, squares + u * u, normal + z, normalSquares + z * z, fourth + z * z * z * z);
        }
        Assert.Equal(0.5, sum / n, 0.003);
        Assert.Equal(1.0 / 3, squares / n, 0.003);
        Assert.Equal(0, normal / n, 0.01);
        Assert.Equal(1, normalSquares / n, 0.02);
        Assert.Equal(3, fourth / n, 0.1);
    }

    [Fact]
    public void Streams_of_other_names_and_seeds_differ_and_equal_ones_agree()
    {
        uint[] First(ulong seed, string name)
        {
            var stream = new PhiloxStream(seed, name);
            return Enumerable.Range(0, 8).Select(_ => stream.NextUInt()).ToArray();
        }
        Assert.Equal(First(1, "a"), First(1, "a"));
        Assert.NotEqual(First(1, "a"), First(1, "b"));
        Assert.NotEqual(First(1, "a"), First(2, "a"));
    }
}
