using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>Width of the vectors that a loop works with, in bits.</summary>
public enum SimdWidth
{
    /// <summary>Four floats: SSE, NEON.</summary>
    V128 = 128,
    /// <summary>Eight floats: AVX2.</summary>
    V256 = 256,
    /// <summary>Sixteen floats: AVX-512.</summary>
    V512 = 512,
}

/// <summary>What this machine's vectors can do.</summary>
public static class Simd
{
    /// <summary>The widest vectors that the runtime counts as fast on this machine. Every loop takes this width unless a test asks
    /// for another.</summary>
    public static SimdWidth Best { get; } =
        Vector512.IsHardwareAccelerated ? SimdWidth.V512 : Vector256.IsHardwareAccelerated ? SimdWidth.V256 : SimdWidth.V128;

    /// <summary>Runs work at a width and returns it, with what it may have found. The JIT specialises this for every work and inlines it: what is left is a comparison and a direct call.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static W Dispatch<W>(SimdWidth width, W work) where W : struct, ILaneWork
    {
        if (width == SimdWidth.V512) work.Run<Lanes512>();
        else if (width == SimdWidth.V256) work.Run<Lanes256>();
        else work.Run<Lanes128>();
        return work;
    }
}

/// <summary>Work written over lanes with its arguments: a struct, whose <see cref="Run"/> should be inlined, so that the arguments stay in registers.</summary>
internal interface ILaneWork
{
    /// <summary>Does it with lanes of a width.</summary>
    void Run<T>() where T : unmanaged, ILanes<T>;
}
