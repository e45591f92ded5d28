namespace Engine.Interop.Safetensors;

/// <summary>An element type of the safetensors format, as it is written in the header.</summary>
/// <remarks>
/// The table below is in the reference implementation's order, which is also the order (descending) in which its writer sorts
/// tensors. Types smaller than a byte are not supported.
/// </remarks>
public sealed class SafetensorsType
{
    /// <summary>A byte that is 0 or 1.</summary>
    public static readonly SafetensorsType Bool = new("BOOL", 1, 0);

    /// <summary>Unsigned 8-bit integer.</summary>
    public static readonly SafetensorsType U8 = new("U8", 1, 1);

    /// <summary>Signed 8-bit integer.</summary>
    public static readonly SafetensorsType I8 = new("I8", 1, 2);

    /// <summary>8-bit float, 5 bits of exponent; carried, not converted.</summary>
    public static readonly SafetensorsType F8E5M2 = new("F8_E5M2", 1, 3);

    /// <summary>8-bit float, 4 bits of exponent; carried, not converted.</summary>
    public static readonly SafetensorsType F8E4M3 = new("F8_E4M3", 1, 4);

    /// <summary>8-bit scale, 8 bits of exponent; carried, not converted.</summary>
    public static readonly SafetensorsType F8E8M0 = new("F8_E8M0", 1, 5);

    /// <summary>Signed 16-bit integer.</summary>
    public static readonly SafetensorsType I16 = new("I16", 2, 6);

    /// <summary>Unsigned 16-bit integer.</summary>
    public static readonly SafetensorsType U16 = new("U16", 2, 7);

    /// <summary>IEEE 16-bit float.</summary>
    public static readonly SafetensorsType F16 = new("F16", 2, 8);

    /// <summary>bfloat16: the upper half of a 32-bit float.</summary>
    public static readonly SafetensorsType BF16 = new("BF16", 2, 9);

    /// <summary>Signed 32-bit integer.</summary>
    public static readonly SafetensorsType I32 = new("I32", 4, 10);

    /// <summary>Unsigned 32-bit integer.</summary>
    public static readonly SafetensorsType U32 = new("U32", 4, 11);

    /// <summary>IEEE 32-bit float.</summary>
    public static readonly SafetensorsType F32 = new("F32", 4, 12);

    /// <summary>Two 32-bit floats, a complex number; carried, not converted.</summary>
    public static readonly SafetensorsType C64 = new("C64", 8, 13);

    /// <summary>IEEE 64-bit float.</summary>
    public static readonly SafetensorsType F64 = new("F64", 8, 14);

    /// <summary>Signed 64-bit integer.</summary>
    public static readonly SafetensorsType I64 = new("I64", 8, 15);

    /// <summary>Unsigned 64-bit integer.</summary>
    public static readonly SafetensorsType U64 = new("U64", 8, 16);

    private static readonly SafetensorsType[] All =
        [Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64];

    private SafetensorsType(string name, int size, int order)
    {
        Name = name;
        Size = size;
        Order = order;
    }

    /// <summary>The name in the header: F32, BOOL, ...</summary>
    public string Name { get; }

    /// <summary>Bytes an element.</summary>
    public int Size { get; }

    /// <summary>The place in the reference implementation's list.</summary>
    internal int Order { get; }

    /// <summary>The type of this name, or null where the name is unknown.</summary>
    public static SafetensorsType? Find(string name) => Array.Find(All, type => type.Name == name);

    /// <summary>The name in the header.</summary>
    public override string ToString() => Name;
}
