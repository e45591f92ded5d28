using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels;

/// <summary>
/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
/// A pure function of key and counter: the same stream on every device, in any order, at any thread count.
/// </summary>
public static class Philox
{
    internal const uint M0 = 0xD2511F53, M1 = 0xCD9E8D57, W0 = 0x9E3779B9, W1 = 0xBB67AE85;

    /// <summary>Four random words of counter (c0..c3) under key (k0, k1).</summary>
    public static (uint X0, uint X1, uint X2, uint X3) Block(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        for (int round = 0; ; round++)
        {
            ulong p0 = (ulong)M0 * c0, p1 = (ulong)M1 * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            if (round == 9) return (c0, c1, c2, c3);
            k0 += W0;
            k1 += W1;
        }
    }

    /// <summary>The key of a named stream: the 64-bit seed mixed with the FNV-1a hash of the name, so that draws with
    /// different names are independent and a draw's numbers do not depend on which other draws exist.</summary>
    public static (uint K0, uint K1) Key(ulong seed, string name)
    {
        ulong key = Mix(seed ^ NameHash(name));
        return ((uint)key, (uint)(key >> 32));
    }

    /// <summary>What of a key depends on the stream's name.</summary>
    internal static ulong NameHash(string name)
    {
        ulong hash = 14695981039346656037UL;
        foreach (char c in name) hash = (hash ^ c) * 1099511628211UL;
        return Mix(hash);
    }

    /// <summary>A number in [0, 1), a multiple of 2^-24, exact in float32: never 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Unit(uint x) => (x >> 8) * (1.0 / 16777216.0);

    /// <summary>Two independent standard normals from two words (Box and Muller 1958), in float64; the same bits on every machine and device.</summary>
    public static (double A, double B) NormalPair(uint x, uint y)
    {
        var (a, b) = BoxMuller.Pairs(Vector512.CreateScalar((double)x), Vector512.CreateScalar((double)y));
        return (a.ToScalar(), b.ToScalar());
    }

    /// <summary>An integer in [0, bound) by multiply and shift; each value's probability is off by at most 2^-32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Integer(uint x, int bound) => (int)(((ulong)x * (uint)bound) >> 32);

    internal static ulong Mix(ulong z) // SplitMix64's finaliser
    {
        z += 0x9E3779B97F4A7C15UL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}

/// <summary>A sequential stream of Philox numbers for code on the host (initialisers, environments, datasets).</summary>
public sealed class PhiloxStream(ulong seed, string name)
{
    private readonly (uint K0, uint K1) _key = Philox.Key(seed, name);
    private ulong _block;
    private int _used = 4;
    private (uint X0, uint X1, uint X2, uint X3) _words;
    private double _spareNormal;
    private bool _hasSpare;

    /// <summary>The next 32 random bits.</summary>
    public uint NextUInt()
    {
        if (_used == 4)
        {
            _words = Philox.Block((uint)_block, 0, (uint)(_block >> 32), 0, _key.K0, _key.K1);
            _block++;
            _used = 0;
        }
        return _used++ switch { 0 => _words.X0, 1 => _words.X1, 2 => _words.X2, _ => _words.X3 };
    }

    /// <summary>Uniform in [0, 1).</summary>
    public double NextUnit() => Philox.Unit(NextUInt());

    /// <summary>Uniform in [low, high).</summary>
    public double NextUniform(double low, double high) => low + (high - low) * NextUnit();

    /// <summary>Uniform integer in [0, bound).</summary>
    public int NextInt(int bound) => Philox.Integer(NextUInt(), bound);

    /// <summary>Puts values into an order of which each is as likely (Fisher-Yates).</summary>
    public void Shuffle(Span<int> values)
    {
        for (int i = values.Length - 1; i > 0; i--)
        {
            int j = NextInt(i + 1);
            (values[i], values[j]) = (values[j], values[i]);
        }
    }

    /// <summary>Standard normal.</summary>
    public double NextNormal()
    {
        if (_hasSpare) { _hasSpare = false; return _spareNormal; }
        var (a, b) = Philox.NormalPair(NextUInt(), NextUInt());
        (_spareNormal, _hasSpare) = (b, true);
        return a;
    }
}
