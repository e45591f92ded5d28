using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Engine.Interop.Safetensors;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">The name; unique in its file.</param>
/// <param name="Type">The type of the elements.</param>
/// <param name="Shape">The sizes of the axes, row-major; empty for a scalar.</param>
/// <param name="Data">The elements, little-endian: product of the shape times the size of the type.</param>
public sealed record SafetensorsTensor(string Name, SafetensorsType Type, long[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>A tensor of 32-bit floats.</summary>
    public static SafetensorsTensor From(string name, long[] shape, ReadOnlySpan<float> values) =>
        new(name, SafetensorsType.F32, shape, Bytes<float>(values, static (value, to) => BinaryPrimitives.WriteSingleLittleEndian(to, value)));

    /// <summary>A tensor of 64-bit floats.</summary>
    public static SafetensorsTensor From(string name, long[] shape, ReadOnlySpan<double> values) =>
        new(name, SafetensorsType.F64, shape, Bytes<double>(values, static (value, to) => BinaryPrimitives.WriteDoubleLittleEndian(to, value)));

    /// <summary>A tensor of 32-bit integers.</summary>
    public static SafetensorsTensor From(string name, long[] shape, ReadOnlySpan<int> values) =>
        new(name, SafetensorsType.I32, shape, Bytes<int>(values, static (value, to) => BinaryPrimitives.WriteInt32LittleEndian(to, value)));

    /// <summary>A tensor of 64-bit integers.</summary>
    public static SafetensorsTensor From(string name, long[] shape, ReadOnlySpan<long> values) =>
        new(name, SafetensorsType.I64, shape, Bytes<long>(values, static (value, to) => BinaryPrimitives.WriteInt64LittleEndian(to, value)));

    /// <summary>A tensor of bytes.</summary>
    public static SafetensorsTensor From(string name, long[] shape, ReadOnlySpan<byte> values) => new(name, SafetensorsType.U8, shape, values.ToArray());

    /// <summary>The elements as 32-bit floats, rounded to nearest where the type is wider.</summary>
    /// <exception cref="NotSupportedException">The type is complex or an 8-bit float.</exception>
    public float[] ToSingles()
    {
        if (Type == SafetensorsType.F32 && BitConverter.IsLittleEndian)
            return MemoryMarshal.Cast<byte, float>(Data.Span).ToArray();
        return Convert(static value => (float)value, static value => value, static value => (float)value);
    }

    /// <summary>The elements as 64-bit floats; 64-bit integers beyond 2^53 are rounded.</summary>
    /// <exception cref="NotSupportedException">The type is complex or an 8-bit float.</exception>
    public double[] ToDoubles() => Convert(static value => value, static value => (double)value, static value => (double)value);

    /// <summary>The elements as 32-bit integers; BOOL becomes 0 or 1.</summary>
    /// <exception cref="NotSupportedException">The type is complex or an 8-bit float.</exception>
    /// <exception cref="OverflowException">A value is not an integer, or outside the range of 32 bits; the message says which.</exception>
    public int[] ToInt32s() => Convert(Exact, static value => Exact(value), static value => value >= int.MinValue && value <= int.MaxValue ? (int)value : throw Misfit(value));

    private static int Exact(double value) =>
        value is >= int.MinValue and <= int.MaxValue && Math.Truncate(value) == value ? (int)value : throw Misfit(value);

    private static OverflowException Misfit(object value) => new($"the value {value} is not a 32-bit integer");

    private static byte[] Bytes<T>(ReadOnlySpan<T> values, WriteElement<T> write) where T : unmanaged
    {
        if (BitConverter.IsLittleEndian)
            return MemoryMarshal.AsBytes(values).ToArray();
        var size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
        var bytes = new byte[checked(values.Length * size)];
        for (var i = 0; i < values.Length; i++)
            write(values[i], bytes.AsSpan(i * size, size));
        return bytes;
    }

    // Integers go by way of Int128, which holds every one of them exactly; U64 is the reason.
    private T[] Convert<T>(Func<double, T> fromDouble, Func<float, T> fromSingle, Func<Int128, T> fromInteger) => Type.Name switch
    {
        "F64" => Map(BinaryPrimitives.ReadDoubleLittleEndian, fromDouble),
        "F32" => Map(BinaryPrimitives.ReadSingleLittleEndian, fromSingle),
        "F16" => Map(static at => (float)BinaryPrimitives.ReadHalfLittleEndian(at), fromSingle),
        "BF16" => Map(static at => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(at) << 16), fromSingle),
        "I64" => Map(static at => (Int128)BinaryPrimitives.ReadInt64LittleEndian(at), fromInteger),
        "U64" => Map(static at => (Int128)BinaryPrimitives.ReadUInt64LittleEndian(at), fromInteger),
        "I32" => Map(static at => (Int128)BinaryPrimitives.ReadInt32LittleEndian(at), fromInteger),
        "U32" => Map(static at => (Int128)BinaryPrimitives.ReadUInt32LittleEndian(at), fromInteger),
        "I16" => Map(static at => (Int128)BinaryPrimitives.ReadInt16LittleEndian(at), fromInteger),
        "U16" => Map(static at => (Int128)BinaryPrimitives.ReadUInt16LittleEndian(at), fromInteger),
        "I8" => Map(static at => (Int128)(sbyte)at[0], fromInteger),
        "U8" => Map(static at => (Int128)at[0], fromInteger),
        "BOOL" => Map(static at => (Int128)(at[0] == 0 ? 0 : 1), fromInteger),
        _ => throw new NotSupportedException($"tensor '{Name}': elements of type {Type} are carried as bytes, not converted to numbers."),
    };

    private T[] Map<TSource, T>(ReadElement<TSource> read, Func<TSource, T> convert)
    {
        var data = Data.Span;
        var size = Type.Size;
        if (data.Length % size != 0)
            throw new InvalidOperationException($"tensor '{Name}' has {data.Length} bytes, which is not a multiple of {size}, the size of {Type}.");
        var result = new T[data.Length / size];
        for (var i = 0; i < result.Length; i++)
            result[i] = convert(read(data.Slice(i * size, size)));
        return result;
    }

    private delegate TSource ReadElement<TSource>(ReadOnlySpan<byte> at);

    private delegate void WriteElement<T>(T value, Span<byte> to);
}
