namespace Engine.Interop.Hdf5;

/// <summary>A datatype message.</summary>
/// <param name="Element">What the elements are.</param>
/// <param name="Size">Bytes of one element in the file.</param>
/// <param name="BigEndian">Whether numbers are stored with the high byte first.</param>
/// <param name="Padding">Of a fixed string: 0 ends at the first zero, 1 is filled up with zeros, 2 with spaces.</param>
/// <param name="Description">What it is, for errors about unsupported types.</param>
internal sealed record Hdf5Datatype(Hdf5ElementType Element, int Size, bool BigEndian, int Padding, string Description)
{
    private static readonly string[] ClassNames =
        ["integer", "float", "time", "string", "bit field", "opaque", "compound", "reference", "enumeration", "variable-length", "array"];

    public static Hdf5Datatype Parse(ref Hdf5Cursor cursor)
    {
        var (kind, version, bits, size) = Head(ref cursor);
        return kind switch
        {
            0 => Integer(ref cursor, bits, size),
            1 => Float(ref cursor, bits, size),
            3 => new Hdf5Datatype(Hdf5ElementType.FixedString, size, false, (int)(bits & 15), "string"),
            8 => Enumeration(ref cursor, version, bits, size),
            9 when (bits & 15) == 1 => size == VariableSize(ref cursor)
                ? new Hdf5Datatype(Hdf5ElementType.VariableString, size, false, 0, "variable-length string")
                : throw cursor.Fail($"a variable-length string has {size} bytes; expected {VariableSize(ref cursor)}"),
            _ => new Hdf5Datatype(Hdf5ElementType.Unsupported, size, false, 0, kind < ClassNames.Length ? ClassNames[kind] : $"class {kind}"),
        };
    }

    // A length, a heap's address, an index.
    private static int VariableSize(ref Hdf5Cursor cursor) => 4 + cursor.AddressSize + 4;

    private static (int Kind, int Version, uint Bits, int Size) Head(ref Hdf5Cursor cursor)
    {
        var word = cursor.U32();
        var size = cursor.U32();
        var version = (int)(word >> 4 & 15);
        if (version is < 1 or > 5)
            throw cursor.Fail($"version {version} is not supported; expected 1 to 5");
        // A variable-length string of 0 bytes or a type of gigabytes would break every size that is computed from it.
        if (size is 0 or > 1 << 26)
            throw cursor.Fail($"elements of {size} bytes are not supported; expected 1 to {1 << 26}");
        return ((int)(word & 15), version, word >> 8, (int)size);
    }

    private static Hdf5Datatype Integer(ref Hdf5Cursor cursor, uint bits, int size)
    {
        var offset = cursor.U16();
        var precision = cursor.U16();
        var signed = (bits & 8) != 0;
        var element = offset != 0 || precision != 8 * size ? Hdf5ElementType.Unsupported : (size, signed) switch
        {
            (1, true) => Hdf5ElementType.Int8,
            (1, false) => Hdf5ElementType.UInt8,
            (2, true) => Hdf5ElementType.Int16,
            (2, false) => Hdf5ElementType.UInt16,
            (4, true) => Hdf5ElementType.Int32,
            (4, false) => Hdf5ElementType.UInt32,
            (8, true) => Hdf5ElementType.Int64,
            (8, false) => Hdf5ElementType.UInt64,
            _ => Hdf5ElementType.Unsupported,
        };
        return new Hdf5Datatype(element, size, (bits & 1) != 0, 0, $"integer of {precision} bits at bit {offset} of {size} bytes");
    }

    private static Hdf5Datatype Float(ref Hdf5Cursor cursor, uint bits, int size)
    {
        var offset = cursor.U16();
        var precision = cursor.U16();
        var (exponentAt, exponentBits, mantissaAt, mantissaBits) = (cursor.U8(), cursor.U8(), cursor.U8(), cursor.U8());
        var bias = cursor.U32();
        var sign = bits >> 8 & 0xff;
        var element = (size, offset, precision, sign, exponentAt, exponentBits, mantissaAt, mantissaBits, bias) switch
        {
            (2, 0, 16, 15, 10, 5, 0, 10, 15) => Hdf5ElementType.Float16,
            (4, 0, 32, 31, 23, 8, 0, 23, 127) => Hdf5ElementType.Float32,
            (8, 0, 64, 63, 52, 11, 0, 52, 1023) => Hdf5ElementType.Float64,
            _ => Hdf5ElementType.Unsupported,
        };
        if ((bits & 0x40) != 0)
            element = Hdf5ElementType.Unsupported; // VAX order
        return new Hdf5Datatype(element, size, (bits & 1) != 0, 0, $"float of {precision} bits with {exponentBits} of exponent in {size} bytes");
    }

    private static Hdf5Datatype Enumeration(ref Hdf5Cursor cursor, int version, uint bits, int size)
    {
        var members = (int)(bits & 0xffff);
        var (kind, _, baseBits, baseSize) = Head(ref cursor);
        if (kind != 0 || baseSize != size)
            throw cursor.Fail("the base of an enumeration is not an integer of its size");
        var values = Integer(ref cursor, baseBits, baseSize);
        var names = new List<string>(Math.Min(members, 64));
        for (var i = 0; i < members; i++)
        {
            var start = cursor.Position;
            var name = cursor.ZeroTerminated();
            if (version < 3)
                cursor.Align8(start);
            if (i < 2)
                names.Add(name);
        }
        var isBoolean = size == 1 && members == 2 && names[0] == "FALSE" && names[1] == "TRUE" && cursor.U8() == 0 && cursor.U8() == 1;
        return isBoolean ? values with { Element = Hdf5ElementType.Boolean, Description = "boolean" } : values;
    }
}
