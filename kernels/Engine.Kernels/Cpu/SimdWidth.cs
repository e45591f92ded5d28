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
}
