using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>A scalar repeated to the widest vector, so that loops read it as they read a vector.</summary>
internal readonly unsafe struct Splat(float x)
{
    // Twice as long as a vector, because the stack does not align it: a load across two cache lines costs two.
    private readonly Vector512<float> first = Vector512.Create(x), second = Vector512.Create(x);

    /// <summary>The aligned address of the repeated scalar, while the struct lives on the caller's stack.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float* Pointer(Splat* splat) => (float*)(((nint)splat + 63) & -64);
}
