namespace Engine.Interop.Numpy;

/// <summary>What the elements of a NumPy array are.</summary>
public enum NpyKind
{
    /// <summary>Booleans of one byte.</summary>
    Boolean,

    /// <summary>Signed integers of 1, 2, 4 or 8 bytes.</summary>
    Integer,

    /// <summary>Unsigned integers of 1, 2, 4 or 8 bytes.</summary>
    Unsigned,

    /// <summary>Floats of 2, 4 or 8 bytes.</summary>
    Float,

    /// <summary>Byte strings of a fixed length, padded with zeros.</summary>
    Bytes,

    /// <summary>UTF-32 strings of a fixed length, padded with zeros.</summary>
    Text,

    /// <summary>Pickled Python objects: recognised, never read.</summary>
    Object,

    /// <summary>Complex numbers, dates, structures and whatever else is not above: recognised, never read.</summary>
    Other,
}

/// <summary>Type of the elements of a NumPy array.</summary>
/// <param name="Kind">What they are.</param>
/// <param name="Size">Bytes of one.</param>
/// <param name="BigEndian">Byte order in the file.</param>
public readonly record struct NpyType(NpyKind Kind, int Size, bool BigEndian = false)
{
    /// <summary>Whether they are numbers or booleans.</summary>
    public bool IsNumber => Kind <= NpyKind.Float;

    /// <summary>As NumPy writes it: <c>&lt;f4</c>, <c>|b1</c>, <c>&lt;U5</c>.</summary>
    public override string ToString() => Kind switch
    {
        NpyKind.Boolean => "|b1",
        NpyKind.Bytes => $"|S{Size}",
        NpyKind.Object => "|O",
        NpyKind.Other => "another type",
        _ => $"{(Size == 1 ? '|' : BigEndian ? '>' : '<')}{Kind switch { NpyKind.Integer => 'i', NpyKind.Unsigned => 'u', NpyKind.Float => 'f', _ => 'U' }}{(Kind == NpyKind.Text ? Size / 4 : Size)}",
    };

    /// <summary>Parses NumPy's text of a simple type; null if it is another.</summary>
    internal static NpyType? Parse(string text)
    {
        if (text.Length < 2) return null;
        bool big = text[0] == '>';
        if (text[0] is not ('<' or '>' or '|' or '=')) return null;
        if (text[1] == 'O') return new NpyType(NpyKind.Object, 8);
        if (!int.TryParse(text.AsSpan(2), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int size) || size < 0 || size > 1 << 20) return null;
        return (text[1], size) switch
        {
            ('b', 1) => new NpyType(NpyKind.Boolean, 1),
            ('i', 1 or 2 or 4 or 8) => new NpyType(NpyKind.Integer, size, big),
            ('u', 1 or 2 or 4 or 8) => new NpyType(NpyKind.Unsigned, size, big),
            ('f', 2 or 4 or 8) => new NpyType(NpyKind.Float, size, big),
            ('S' or 'a', > 0) => new NpyType(NpyKind.Bytes, size),
            ('U', > 0) => new NpyType(NpyKind.Text, checked(4 * size), big),
            _ => null,
        };
    }
}
