using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Engine.Interop.Numpy;

/// <summary>One NumPy array.</summary>
/// <param name="Name">Name in its .npz file; of a .npy file the file's name.</param>
/// <param name="Type">Type of the elements; the byte order is that of <paramref name="Data"/>.</param>
/// <param name="Shape">Sizes of the axes; empty for a scalar.</param>
/// <param name="Data">The elements, row-major.</param>
public sealed record NpyArray(string Name, NpyType Type, long[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>Number of elements.</summary>
    public long Count => Data.Length / Math.Max(1, Type.Size);

    /// <summary>An array of 32-bit floats.</summary>
    public static NpyArray From(string name, long[] shape, ReadOnlySpan<float> values) => Make(name, new NpyType(NpyKind.Float, 4), shape, values);

    /// <summary>An array of 64-bit floats.</summary>
    public static NpyArray From(string name, long[] shape, ReadOnlySpan<double> values) => Make(name, new NpyType(NpyKind.Float, 8), shape, values);

    /// <summary>An array of 32-bit integers.</summary>
    public static NpyArray From(string name, long[] shape, ReadOnlySpan<int> values) => Make(name, new NpyType(NpyKind.Integer, 4), shape, values);

    /// <summary>An array of 64-bit integers.</summary>
    public static NpyArray From(string name, long[] shape, ReadOnlySpan<long> values) => Make(name, new NpyType(NpyKind.Integer, 8), shape, values);

    /// <summary>An array of booleans.</summary>
    public static NpyArray From(string name, long[] shape, ReadOnlySpan<bool> values) => Make(name, new NpyType(NpyKind.Boolean, 1), shape, values);

    private static NpyArray Make<T>(string name, NpyType type, long[] shape, ReadOnlySpan<T> values) where T : unmanaged
    {
        if (shape.Aggregate(1L, (a, b) => a * b) != values.Length) throw new ArgumentException($"{name}: shape ({string.Join(", ", shape)}) does not have {values.Length} elements");
        // Files are written on little-endian machines only; the type records the order of the bytes.
        return new NpyArray(name, type with { BigEndian = !BitConverter.IsLittleEndian && type.Size > 1 }, shape, MemoryMarshal.AsBytes(values).ToArray());
    }

    /// <summary>The elements as 32-bit floats, rounded to nearest where the type has more digits; booleans as 0 and 1.</summary>
    /// <exception cref="NotSupportedException">The elements are strings.</exception>
    public float[] ToSingles()
    {
        if (Type is { Kind: NpyKind.Float, Size: 4 } && Type.BigEndian != BitConverter.IsLittleEndian) return MemoryMarshal.Cast<byte, float>(Data.Span).ToArray();
        var result = new float[Count];
        for (int i = 0; i < result.Length; i++) result[i] = (float)Number(i);
        return result;
    }

    /// <summary>The elements as 64-bit floats; integers beyond 2^53 are rounded.</summary>
    /// <exception cref="NotSupportedException">The elements are strings.</exception>
    public double[] ToDoubles()
    {
        var result = new double[Count];
        for (int i = 0; i < result.Length; i++) result[i] = Number(i);
        return result;
    }

    /// <summary>The elements as 32-bit integers; booleans as 0 and 1.</summary>
    /// <exception cref="NotSupportedException">The elements are strings.</exception>
    /// <exception cref="OverflowException">A value is not whole, or outside the range of 32 bits; the message says which.</exception>
    public int[] ToInt32s() => Whole(int.MinValue, int.MaxValue, static value => (int)value);

    /// <summary>The elements as 64-bit integers, every one exact; booleans as 0 and 1.</summary>
    /// <exception cref="NotSupportedException">The elements are strings.</exception>
    /// <exception cref="OverflowException">A value is not whole, or outside the range of 64 bits; the message says which.</exception>
    public long[] ToInt64s() => Whole(long.MinValue, long.MaxValue, static value => (long)value);

    /// <summary>The elements as booleans: whether they differ from 0.</summary>
    /// <exception cref="NotSupportedException">The elements are strings.</exception>
    public bool[] ToBooleans()
    {
        var result = new bool[Count];
        for (int i = 0; i < result.Length; i++) result[i] = Number(i) != 0;
        return result;
    }

    /// <summary>The elements as texts, without the zeros that pad them.</summary>
    /// <exception cref="NotSupportedException">The elements are numbers.</exception>
    public string[] ToStrings()
    {
        var encoding = Type.Kind switch
        {
            NpyKind.Bytes => Encoding.Latin1,
            NpyKind.Text => new UTF32Encoding(Type.BigEndian, false),
            _ => throw new NotSupportedException($"{Name} has elements {Type}, not strings"),
        };
        var result = new string[Count];
        for (int i = 0; i < result.Length; i++) result[i] = encoding.GetString(Data.Span.Slice(i * Type.Size, Type.Size)).TrimEnd('\0');
        return result;
    }

    private T[] Whole<T>(long min, long max, Func<Int128, T> convert)
    {
        var result = new T[Count];
        for (int i = 0; i < result.Length; i++)
        {
            var at = Data.Span[(i * Type.Size)..];
            // A double holds every integer but those of 64 bits.
            Int128? value = (Type.Kind, Type.Size) switch
            {
                (NpyKind.Integer, 8) => Type.BigEndian ? BinaryPrimitives.ReadInt64BigEndian(at) : BinaryPrimitives.ReadInt64LittleEndian(at),
                (NpyKind.Unsigned, 8) => Type.BigEndian ? BinaryPrimitives.ReadUInt64BigEndian(at) : BinaryPrimitives.ReadUInt64LittleEndian(at),
                _ => Number(i) is var number && Math.Truncate(number) == number && Math.Abs(number) < 1e19 ? (Int128)number : null,
            };
            if (value is not { } whole || whole < min || whole > max) throw new OverflowException($"{Name}: element {i} is {Number(i)}, expected a whole number from {min} to {max}");
            result[i] = convert(whole);
        }
        return result;
    }

    private double Number(int i)
    {
        var at = Data.Span[(i * Type.Size)..];
        return (Type.Kind, Type.Size, Type.BigEndian) switch
        {
            (NpyKind.Boolean, _, _) => at[0] == 0 ? 0 : 1,
            (NpyKind.Integer, 1, _) => (sbyte)at[0],
            (NpyKind.Unsigned, 1, _) => at[0],
            (NpyKind.Integer, 2, false) => BinaryPrimitives.ReadInt16LittleEndian(at),
            (NpyKind.Integer, 2, true) => BinaryPrimitives.ReadInt16BigEndian(at),
            (NpyKind.Integer, 4, false) => BinaryPrimitives.ReadInt32LittleEndian(at),
            (NpyKind.Integer, 4, true) => BinaryPrimitives.ReadInt32BigEndian(at),
            (NpyKind.Integer, 8, false) => BinaryPrimitives.ReadInt64LittleEndian(at),
            (NpyKind.Integer, 8, true) => BinaryPrimitives.ReadInt64BigEndian(at),
            (NpyKind.Unsigned, 2, false) => BinaryPrimitives.ReadUInt16LittleEndian(at),
            (NpyKind.Unsigned, 2, true) => BinaryPrimitives.ReadUInt16BigEndian(at),
            (NpyKind.Unsigned, 4, false) => BinaryPrimitives.ReadUInt32LittleEndian(at),
            (NpyKind.Unsigned, 4, true) => BinaryPrimitives.ReadUInt32BigEndian(at),
            (NpyKind.Unsigned, 8, false) => BinaryPrimitives.ReadUInt64LittleEndian(at),
            (NpyKind.Unsigned, 8, true) => BinaryPrimitives.ReadUInt64BigEndian(at),
            (NpyKind.Float, 2, false) => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
            (NpyKind.Float, 2, true) => (double)BinaryPrimitives.ReadHalfBigEndian(at),
            (NpyKind.Float, 4, false) => BinaryPrimitives.ReadSingleLittleEndian(at),
            (NpyKind.Float, 4, true) => BinaryPrimitives.ReadSingleBigEndian(at),
            (NpyKind.Float, 8, false) => BinaryPrimitives.ReadDoubleLittleEndian(at),
            (NpyKind.Float, 8, true) => BinaryPrimitives.ReadDoubleBigEndian(at),
            _ => throw new NotSupportedException($"{Name} has elements {Type}, not numbers"),
        };
    }
}
