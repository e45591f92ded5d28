using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Eight consecutive blocks of <see cref="Philox"/> at once.</summary>
internal static unsafe class PhiloxBlocks
{
    /// <summary>Words of eight blocks.</summary>
    internal const int Words = 32;

    /// <summary>The words of the blocks (c0, c1, c2, c3), (c0 + 1, c1, c2, c3), ... one after another.</summary>
    internal static void Eight(uint c0, uint c1, uint c2, uint c3, (uint K0, uint K1) key, uint* words)
    {
        // Every lane of 64 bits holds a word of 32, so that products fit.
        Vector512<ulong> x0 = (Vector512<ulong>.Indices + Vector512.Create((ulong)c0)) & Vector512.Create(0xFFFFFFFFUL);
        Vector512<ulong> x1 = Vector512.Create((ulong)c1), x2 = Vector512.Create((ulong)c2), x3 = Vector512.Create((ulong)c3);
        Vector512<ulong> low = Vector512.Create(0xFFFFFFFFUL);
        var (k0, k1) = key;
        for (int round = 0; round < 10; round++)
        {
            Vector512<ulong> p0 = x0 * Vector512.Create((ulong)Philox.M0), p1 = x2 * Vector512.Create((ulong)Philox.M1);
            (x0, x1, x2, x3) = (p1 >> 32 ^ x1 ^ Vector512.Create((ulong)k0), p1 & low, p0 >> 32 ^ x3 ^ Vector512.Create((ulong)k1), p0 & low);
            unchecked
            {
                k0 += Philox.W0;
                k1 += Philox.W1;
            }
        }
        // Two words a lane, then lanes of four vectors in turn.
        ulong* first = stackalloc ulong[8], second = stackalloc ulong[8];
        (x0 | x1 << 32).Store(first);
        (x2 | x3 << 32).Store(second);
        for (int i = 0; i < 8; i++) (((ulong*)words)[2 * i], ((ulong*)words)[2 * i + 1]) = (first[i], second[i]);
    }
}
