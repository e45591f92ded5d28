using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;

namespace Engine.Kernels.Ilgpu.Elementwise;

/// <summary>How elements are read and written: four bytes as they are, bfloat16 as the upper half of a float, a boolean as a mask, a byte as an int.</summary>
internal static class Memory
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes Load(ArrayView<int> x, int i) => ScalarLanes.Create(x[i]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes LoadUpper(ArrayView<ushort> x, int i) => ScalarLanes.Create(x[i] << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes LoadMask(ArrayView<byte> x, int i) => ScalarLanes.Create(x[i] != 0 ? -1 : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScalarLanes LoadByte(ArrayView<byte> x, int i) => ScalarLanes.Create((int)x[i]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(ArrayView<int> y, int i, ScalarLanes value) => y[i] = value.Int;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreUpper(ArrayView<ushort> y, int i, ScalarLanes value) => y[i] = (ushort)(value.Int >>> 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreMask(ArrayView<byte> y, int i, ScalarLanes value) => y[i] = (byte)(value.Int & 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreByte(ArrayView<byte> y, int i, ScalarLanes value) => y[i] = (byte)value.Int;

    /// <summary>The view that holds elements of a type.</summary>
    public static Type View(DType type) => type.Bytes() switch { 4 => typeof(ArrayView<int>), 2 => typeof(ArrayView<ushort>), _ => typeof(ArrayView<byte>) };

    /// <summary>The function that reads an element of a type.</summary>
    public static MethodInfo Loader(DType type) => Find(type switch { DType.Bool => nameof(LoadMask), DType.U8 => nameof(LoadByte), DType.BF16 => nameof(LoadUpper), _ => nameof(Load) });

    /// <summary>The function that writes an element of a type.</summary>
    public static MethodInfo Storer(DType type) => Find(type switch { DType.Bool => nameof(StoreMask), DType.U8 => nameof(StoreByte), DType.BF16 => nameof(StoreUpper), _ => nameof(Store) });

    private static MethodInfo Find(string name) => typeof(Memory).GetMethod(name)!;
}
