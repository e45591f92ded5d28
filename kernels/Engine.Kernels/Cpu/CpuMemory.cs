using System.Runtime.InteropServices;

namespace Engine.Kernels.Cpu;

/// <summary>
/// Unmanaged memory for tensors. On Linux what is large asks for pages of 2 MiB: a product walks through hundreds of small ones, and each that the processor has to look up, in a virtual machine
/// twice over, costs more than the cache line it leads to.
/// </summary>
internal static unsafe partial class CpuMemory
{
    private const nuint LargePage = 2 << 20, CacheLine = 64;

    /// <summary>Memory that begins with a cache line, of a large page if it is as long as one; not zeroed.</summary>
    public static byte* Allocate(long bytes)
    {
        bool large = (nuint)bytes >= LargePage && OperatingSystem.IsLinux();
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), large ? LargePage : CacheLine);
        if (large) _ = Advise(memory, (nuint)bytes, HugePage); // a wish: where it is refused, small pages do
        return memory;
    }

    /// <summary>Gives it back; null is allowed.</summary>
    public static void Free(void* memory) => NativeMemory.AlignedFree(memory);

    private const int HugePage = 14; // MADV_HUGEPAGE

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
