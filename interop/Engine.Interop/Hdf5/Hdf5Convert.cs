using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Engine.Interop.Hdf5;

/// <summary>Turns the bytes of whole elements into values; the offset is where the bytes are in the file, for errors.</summary>
internal delegate void Hdf5Decode<T>(ReadOnlySpan<byte> raw, Span<T> values, long offset);

/// <summary>Decoders of each element type into the types that callers ask for.</summary>
internal static class Hdf5Convert
{
    /// <summary>A decoder into numbers, or null where the elements are not numbers.</summary>
    public static Hdf5Decode<T>? Numbers<T>(Hdf5Source source, Hdf5Datatype type) where T : unmanaged, INumber<T> => type.Element switch
    {
        Hdf5ElementType.Int8 => Run<sbyte, T>(source, type),
        Hdf5ElementType.UInt8 or Hdf5ElementType.Boolean => Run<byte, T>(source, type),
        Hdf5ElementType.Int16 => Run<short, T>(source, type),
        Hdf5ElementType.UInt16 => Run<ushort, T>(source, type),
        Hdf5ElementType.Int32 => Run<int, T>(source, type),
        Hdf5ElementType.UInt32 => Run<uint, T>(source, type),
        Hdf5ElementType.Int64 => Run<long, T>(source, type),
        Hdf5ElementType.UInt64 => Run<ulong, T>(source, type),
        Hdf5ElementType.Float16 => Run<Half, T>(source, type),
        Hdf5ElementType.Float32 => Run<float, T>(source, type),
        Hdf5ElementType.Float64 => Run<double, T>(source, type),
        _ => null,
    };

    /// <summary>A decoder into strings, or null where the elements are not strings.</summary>
    public static Hdf5Decode<string>? Strings(Hdf5Source source, Hdf5GlobalHeap heap, Hdf5Datatype type) => type.Element switch
    {
        Hdf5ElementType.FixedString => FixedStrings(type),
        Hdf5ElementType.VariableString => VariableStrings(source, heap, type),
        _ => null,
    };

    private static Hdf5Decode<string> FixedStrings(Hdf5Datatype type) => (raw, values, _) =>
    {
        for (var i = 0; i < values.Length; i++)
            values[i] = Fixed(raw.Slice(i * type.Size, type.Size), type.Padding);
    };

    private static Hdf5Decode<string> VariableStrings(Hdf5Source source, Hdf5GlobalHeap heap, Hdf5Datatype type) => (raw, values, offset) =>
    {
        var cursor = new Hdf5Cursor(source, raw, offset, "variable-length string");
        for (var i = 0; i < values.Length; i++)
        {
            var start = cursor.Position;
            values[i] = heap.Read(ref cursor);
            cursor.Skip(type.Size - (cursor.Position - start));
        }
    };

    private static string Fixed(ReadOnlySpan<byte> raw, int padding)
    {
        var text = padding switch
        {
            0 => raw.IndexOf((byte)0) is var end and >= 0 ? raw[..end] : raw,
            2 => raw.TrimEnd((byte)' '),
            _ => raw.TrimEnd((byte)0),
        };
        return Encoding.UTF8.GetString(text);
    }

    private static Hdf5Decode<T> Run<TSource, T>(Hdf5Source source, Hdf5Datatype type)
        where TSource : unmanaged, INumber<TSource>
        where T : unmanaged, INumber<T>
    {
        var swap = type.BigEndian == BitConverter.IsLittleEndian && Unsafe.SizeOf<TSource>() > 1;
        return (raw, values, offset) =>
        {
            if (swap)
                raw = Swapped(raw, Unsafe.SizeOf<TSource>());
            var from = MemoryMarshal.Cast<byte, TSource>(raw);
            if (typeof(T) == typeof(TSource))
                from.CopyTo(MemoryMarshal.Cast<T, TSource>(values));
            else if (typeof(T) == typeof(float) || typeof(T) == typeof(double))
                for (var i = 0; i < values.Length; i++)
                    values[i] = T.CreateTruncating(from[i]);
            else
                for (var i = 0; i < values.Length; i++)
                    values[i] = Exact<TSource, T>(source, from[i], offset + (long)i * Unsafe.SizeOf<TSource>());
        };
    }

    // Integers are asked for where the data are counts, flags or indices: a value that is none must not pass rounded.
    private static T Exact<TSource, T>(Hdf5Source source, TSource value, long offset)
        where TSource : unmanaged, INumber<TSource>
        where T : unmanaged, INumber<T>
    {
        if (!TSource.IsInteger(value))
            throw source.Fail(offset, $"the value {value} in the data that begin near here is not an integer");
        try
        {
            return T.CreateChecked(value);
        }
        catch (OverflowException)
        {
            throw source.Fail(offset, $"the value {value} in the data that begin near here does not fit {8 * Unsafe.SizeOf<T>()} bits");
        }
    }

    private static byte[] Swapped(ReadOnlySpan<byte> raw, int size)
    {
        var swapped = raw.ToArray();
        for (var at = 0; at < swapped.Length; at += size)
            swapped.AsSpan(at, size).Reverse();
        return swapped;
    }
}
