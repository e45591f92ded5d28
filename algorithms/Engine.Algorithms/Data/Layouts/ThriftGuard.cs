namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// Checks Parquet's metadata, which are in Thrift's compact protocol, against the format's definition (parquet.thrift) before the library reads them: it trusts types, sizes and ends, so that
/// a damaged file could stop it for ever or make it take any memory.
/// </summary>
internal ref struct ThriftGuard(ReadOnlySpan<byte> data, string path, string what)
{
    private const int MaximumDepth = 12, MaximumSchema = 20_000;

    // Fields of a structure by number: i and l are whole numbers, y and h short ones, b a boolean, d a double, s text; a capital letter a list; a name another structure; * a list of it.
    private static readonly Dictionary<string, Dictionary<int, string>> Structures = new()
    {
        ["File"] = Fields("1:i 2:*Element 3:l 4:*RowGroup 5:*KeyValue 6:s 7:*Order 8:Encryption 9:s"),
        ["Element"] = Fields("1:i 2:i 3:i 4:s 5:i 6:i 7:i 8:i 9:i 10:Logical"),
        ["Logical"] = Fields("1:Empty 2:Empty 3:Empty 4:Empty 5:Two 6:Empty 7:Time 8:Time 10:Int 11:Empty 12:Empty 13:Empty 14:Empty 15:Empty 16:Short 17:Text 18:Geography"),
        ["Empty"] = [],
        ["Two"] = Fields("1:i 2:i"),
        ["Time"] = Fields("1:b 2:Unit"),
        ["Unit"] = Fields("1:Empty 2:Empty 3:Empty"),
        ["Int"] = Fields("1:y 2:b"),
        ["Short"] = Fields("1:y"),
        ["Text"] = Fields("1:s"),
        ["Geography"] = Fields("1:s 2:i"),
        ["RowGroup"] = Fields("1:*Chunk 2:l 3:l 4:*Sorting 5:l 6:l 7:h"),
        ["Sorting"] = Fields("1:i 2:b 3:b"),
        ["Chunk"] = Fields("1:s 2:l 3:Column 4:l 5:i 6:l 7:i 8:Crypto 9:s"),
        ["Column"] = Fields("1:i 2:I 3:S 4:i 5:l 6:l 7:l 8:*KeyValue 9:l 10:l 11:l 12:Statistics 13:*Encodings 14:l 15:i 16:Sizes 17:Geospatial"),
        ["Encodings"] = Fields("1:i 2:i 3:i"),
        ["Sizes"] = Fields("1:l 2:L 3:L"),
        ["Geospatial"] = Fields("1:Box 2:I"),
        ["Box"] = Fields("1:d 2:d 3:d 4:d 5:d 6:d 7:d 8:d"),
        ["Statistics"] = Fields("1:s 2:s 3:l 4:l 5:s 6:s 7:b 8:b"),
        ["KeyValue"] = Fields("1:s 2:s"),
        ["Order"] = Fields("1:Empty"),
        ["Encryption"] = Fields("1:Cipher 2:Cipher"),
        ["Cipher"] = Fields("1:s 2:s 3:b"),
        ["Crypto"] = Fields("1:Empty 2:Key"),
        ["Key"] = Fields("1:S 2:s"),
        ["Page"] = Fields("1:i 2:i 3:i 4:i 5:DataPage 6:Empty 7:Dictionary 8:DataPage2"),
        ["DataPage"] = Fields("1:i 2:i 3:i 4:i 5:Statistics"),
        ["Dictionary"] = Fields("1:i 2:i 3:b"),
        ["DataPage2"] = Fields("1:i 2:i 3:i 4:i 5:i 6:i 7:b 8:Statistics"),
    };

    private static Dictionary<int, string> Fields(string text) => text.Split(' ').Select(f => f.Split(':')).ToDictionary(f => int.Parse(f[0], System.Globalization.CultureInfo.InvariantCulture), f => f[1]);

    private readonly ReadOnlySpan<byte> _data = data;
    private int _elements;

    /// <summary>Bytes read.</summary>
    public int Position { get; private set; }

    /// <summary>Whole numbers of a page's header: type, sizes unpacked and packed, and the number of values.</summary>
    public (int Type, int Unpacked, int Packed, int Values) Page { get; private set; }

    /// <summary>Checks the file's metadata or a page's header.</summary>
    /// <exception cref="DatasetException">They are not what the format demands.</exception>
    public void Check(string structure)
    {
        Structure(structure, 0);
        if (structure == "File" && Position != _data.Length) throw Fail("they end before their length");
    }

    private readonly DatasetException Fail(string message) => new($"{path}: {what} are damaged at byte {Position}: {message}");

    private byte Next()
    {
        if (Position >= _data.Length) throw Fail("they end within a field");
        return _data[Position++];
    }

    private ulong Number(int most)
    {
        ulong value = 0;
        for (int i = 0; i < most; i++)
        {
            byte b = Next();
            value |= (ulong)(b & 0x7f) << (7 * i);
            if (b < 0x80) return value;
        }
        throw Fail("a number is too long");
    }

    private static long Signed(ulong raw) => (long)(raw >> 1) ^ -(long)(raw & 1);

    private void Structure(string? name, int depth)
    {
        if (depth > MaximumDepth) throw Fail("they are nested too deeply");
        var fields = name is null ? null : Structures[name];
        int id = 0;
        while (Next() is var head && head != 0)
        {
            int type = head & 15, step = head >> 4;
            id = step == 0 ? (int)Math.Clamp(Signed(Number(3)), short.MinValue, short.MaxValue) : id + step;
            string? expected = fields?.GetValueOrDefault(id);
            if (expected is not null && !Fits(expected, type)) throw Fail($"field {id} of {name} has another type");
            Value(type, expected, depth, name is "Page" or "DataPage" or "DataPage2" or "Dictionary" ? (name, id) : default);
        }
    }

    private static bool Fits(string expected, int type) => expected switch
    {
        "b" => type is 1 or 2,
        "y" => type == 3,
        "h" => type == 4,
        "i" => type == 5,
        "l" => type == 6,
        "d" => type == 7,
        "s" => type == 8,
        "I" or "L" or "S" or ['*', ..] => type == 9,
        _ => type == 12,
    };

    private void Value(int type, string? expected, int depth, (string? Name, int Id) of)
    {
        switch (type)
        {
            case 1 or 2: return;
            case 3: Next(); return;
            case 4 or 5 or 6:
                long value = Signed(Number(type == 6 ? 10 : 5));
                if (of.Name == "Page" && of.Id is 1 or 2 or 3) Page = of.Id switch { 1 => Page with { Type = (int)value }, 2 => Page with { Unpacked = (int)value }, _ => Page with { Packed = (int)value } };
                else if (of is { Name: "DataPage" or "DataPage2" or "Dictionary", Id: 1 }) Page = Page with { Values = (int)value };
                return;
            case 7: Skip(8); return;
            case 8: Skip(Number(5)); return;
            case 9 or 10: List(expected, depth); return;
            case 12: Structure(expected is null || Structures.ContainsKey(expected) ? expected : null, depth + 1); return;
            default: throw Fail($"type {type} is unknown");
        }
    }

    private void Skip(ulong bytes)
    {
        if (bytes > (ulong)(_data.Length - Position)) throw Fail("they end within a text");
        Position += (int)bytes;
    }

    private void List(string? expected, int depth)
    {
        if (depth > MaximumDepth) throw Fail("they are nested too deeply");
        byte head = Next();
        int type = head & 15;
        ulong count = head >> 4 == 15 ? Number(5) : (ulong)(head >> 4);
        if (count > (ulong)(_data.Length - Position)) throw Fail($"a list of {count} is longer than they are");
        if (expected == "*Element" && (_elements += (int)count) > MaximumSchema) throw Fail($"a schema of {count} elements, expected at most {MaximumSchema}");
        if (expected is not null && count > 0 && !Fits(expected switch { "I" => "i", "L" => "l", "S" => "s", _ => expected[1..] }, type)) throw Fail("a list has elements of another type");
        string? inner = expected is ['*', ..] ? expected[1..] : null;
        for (ulong i = 0; i < count; i++)
            if (type is 1 or 2) Next();
            else Value(type, inner, depth + 1, default);
    }
}
