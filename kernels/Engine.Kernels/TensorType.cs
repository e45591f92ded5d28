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

/// <summary>What a tensor is: element type and sizes.</summary>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes.</param>
public readonly record struct TensorType(DType DType, Shape Shape)
{
    /// <summary>Number of elements.</summary>
    [JsonIgnore] public long Elements => Shape.Elements;

    /// <summary>Number of bytes.</summary>
    [JsonIgnore] public long Bytes => Shape.Elements * DType.Bytes();

    /// <summary>A float32 type.</summary>
    public static TensorType Float(Shape shape) => new(DType.F32, shape);

    /// <summary>An int32 type.</summary>
    public static TensorType Int(Shape shape) => new(DType.I32, shape);

    /// <summary>A boolean type.</summary>
    public static TensorType Boolean(Shape shape) => new(DType.Bool, shape);

    /// <summary>A type of bytes, 0..255.</summary>
    public static TensorType Byte(Shape shape) => new(DType.U8, shape);

    /// <inheritdoc/>
    public override string ToString() => $"{DType}{Shape}";
}
