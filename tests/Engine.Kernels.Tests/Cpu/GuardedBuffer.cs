using System.Runtime.InteropServices;

namespace Engine.Kernels.Tests.Cpu;

/// <summary>Native memory with guard words around it. They are NaN as floats, so that what is read beyond the ends shows in results;
/// what is written there, <see cref="Check"/> finds. The start is off any alignment by a chosen number of elements.</summary>
internal sealed unsafe class GuardedBuffer<T> : IDisposable where T : unmanaged
{
    private const uint Guard = 0x7FC5A5A5;
    private const int GuardBytes = 128;

    private readonly byte* memory;
    private readonly int before, bytes, total;

    public GuardedBuffer(int length, int misalignment = 1)
    {
        Length = length;
        before = GuardBytes + misalignment * sizeof(T);
        bytes = length * sizeof(T);
        total = (before + bytes + GuardBytes + 3) / 4 * 4;
        memory = (byte*)NativeMemory.AlignedAlloc((nuint)total, 64);
        new Span<uint>(memory, total / 4).Fill(Guard);
    }

    public GuardedBuffer(ReadOnlySpan<T> content, int misalignment = 1) : this(content.Length, misalignment) => content.CopyTo(Span);

    public int Length { get; }

    public T* Pointer => (T*)(memory + before);

    public Span<T> Span => new(Pointer, Length);

    public void Check()
    {
        for (int i = 0; i < total; i++)
            if ((i < before || i >= before + bytes) && memory[i] != (byte)(Guard >> (8 * (i & 3))))
                Assert.Fail($"guard byte {(i < before ? i - before : i - before - bytes)} was overwritten ({(i < before ? "before the start" : "from the end")}, length {Length})");
    }

    public void Dispose() => NativeMemory.AlignedFree(memory);
}

internal static class Bits
{
    public static uint Of(float x) => BitConverter.SingleToUInt32Bits(x);

    public static void Equal(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            if (Of(expected[i]) != Of(actual[i]))
                Assert.Fail($"{what}: element {i} is {actual[i]:R} ({Of(actual[i]):X8}), not {expected[i]:R} ({Of(expected[i]):X8})");
    }

    /// <summary>As <see cref="Equal(ReadOnlySpan{float}, ReadOnlySpan{float}, string)"/>, but any NaN is as good as another.</summary>
    public static void Same(float expected, float actual, string what)
    {
        if (Of(expected) != Of(actual) && !(float.IsNaN(expected) && float.IsNaN(actual)))
            Assert.Fail($"{what} is {actual:R} ({Of(actual):X8}), not {expected:R} ({Of(expected):X8})");
    }
}

internal static class Widths
{
    public static readonly Engine.Kernels.Cpu.SimdWidth[] All = Enum.GetValues<Engine.Kernels.Cpu.SimdWidth>();
}
