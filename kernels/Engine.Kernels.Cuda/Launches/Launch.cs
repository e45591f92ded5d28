namespace Engine.Kernels.Cuda.Launches;

/// <summary>What the launches of all families share.</summary>
internal static class Launch
{
    /// <summary>Threads of a block where an element is a thread.</summary>
    public const int Threads = 256;

    /// <summary>Nothing to do.</summary>
    public static readonly CudaKernel Nothing = new("no elements", []);

    /// <summary>The address of an operand.</summary>
    public static KernelArgument Operand(int index) => KernelArgument.Operand(index);

    /// <summary>A launch of one thread an element.</summary>
    public static KernelLaunch Over(long elements, string function, params KernelArgument[] arguments) => new(function, new(Blocks(elements, Threads, function)), new(Threads), arguments);

    /// <summary>How many blocks cover so many of something.</summary>
    /// <exception cref="DeviceException">More than a grid has.</exception>
    public static int Blocks(long count, long perBlock, string function)
    {
        long blocks = (count + perBlock - 1) / perBlock;
        return blocks <= int.MaxValue ? (int)blocks : throw new DeviceException($"kernel {function}: {count} elements are more than a launch takes");
    }

    /// <summary>A size that kernels hold in 32 bits.</summary>
    /// <exception cref="DeviceException">It does not fit.</exception>
    public static int Size(long size, string what) => size <= 1 << 30 ? (int)size : throw new DeviceException($"{what}: an axis of {size} elements is more than a kernel takes");

    /// <summary>The smallest power of two that is at least n.</summary>
    public static long PowerOfTwo(long n) => n <= 1 ? 1 : (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)n);
}
