using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>Element types. Floating tensors are traced as F32; the interpreter may run them in float64.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DType>))]
public enum DType : byte
{
    /// <summary>IEEE float32, the type of all arithmetic.</summary>
    F32,
    /// <summary>IEEE float64: only inside the interpreter and in files.</summary>
    F64,
    /// <summary>bfloat16: storage; arithmetic casts to F32.</summary>
    BF16,
    /// <summary>32-bit signed integer: indices, counters, actions of discrete tasks.</summary>
    I32,
    /// <summary>Boolean, one byte, 0 or 1.</summary>
    Bool,
    /// <summary>Unsigned byte, 0..255: images. Storage; arithmetic casts to F32 or I32.</summary>
    U8,
}

/// <summary>Facts about element types.</summary>
public static class DTypes
{
    /// <summary>Bytes an element takes.</summary>
    public static int Bytes(this DType type) => type switch { DType.F64 => 8, DType.BF16 => 2, DType.Bool or DType.U8 => 1, _ => 4 };

    /// <summary>Whether the type is a floating type.</summary>
    public static bool IsFloat(this DType type) => type is DType.F32 or DType.F64 or DType.BF16;
}

/// <summary>What a tensor is: element type, sizes, and whether its leading axis is the program's dynamic rows.</summary>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes; with <paramref name="Rows"/> the leading one is the maximum.</param>
/// <param name="Rows">The leading size is set before each run, at most the stated one; nothing may reduce over it.</param>
public readonly record struct TensorType(DType DType, Shape Shape, bool Rows = false)
{
    /// <summary>Number of elements (at the maximum of dynamic rows).</summary>
    [JsonIgnore] public long Elements => Shape.Elements;

    /// <summary>Number of bytes (at the maximum of dynamic rows).</summary>
    [JsonIgnore] public long Bytes => Shape.Elements * DType.Bytes();

    /// <summary>A float32 type.</summary>
    public static TensorType Float(Shape shape) => new(DType.F32, shape);

    /// <summary>An int32 type.</summary>
    public static TensorType Int(Shape shape) => new(DType.I32, shape);

    /// <summary>A boolean type.</summary>
    public static TensorType Boolean(Shape shape) => new(DType.Bool, shape);

    /// <summary>A type of bytes, 0..255.</summary>
    public static TensorType Byte(Shape shape) => new(DType.U8, shape);

    /// <summary>The type when <paramref name="rows"/> rows are set: unchanged unless its rows are dynamic.</summary>
    public TensorType AtRows(int rows) => Rows ? new TensorType(DType, Shape.With(0, rows)) : this;

    /// <summary>Bytes when <paramref name="rows"/> rows are set; nothing is allocated.</summary>
    public long BytesAt(int rows) => Rows ? Bytes / Shape[0] * rows : Bytes;

    /// <inheritdoc/>
    public override string ToString() => $"{DType}{(Rows ? "[rows<=" + Shape.ToString()[1..] : Shape.ToString())}";
}
