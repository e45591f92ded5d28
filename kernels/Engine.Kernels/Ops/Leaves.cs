using System.Text.Json;
using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>An immutable list of numbers with value equality.</summary>
[JsonConverter(typeof(NumbersConverter))]
public readonly struct Numbers(double[] values) : IEquatable<Numbers>
{
    /// <summary>The numbers; one number may stand for all elements.</summary>
    public ReadOnlySpan<double> Span => values;

    /// <inheritdoc/>
    public bool Equals(Numbers other)
    {
        // By bits, so that NaN equals itself and +0 is not -0.
        if (Span.Length != other.Span.Length) return false;
        for (int i = 0; i < Span.Length; i++)
            if (BitConverter.DoubleToInt64Bits(Span[i]) != BitConverter.DoubleToInt64Bits(other.Span[i])) return false;
        return true;
    }

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Numbers other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (double v in Span) hash.Add(BitConverter.DoubleToInt64Bits(v));
        return hash.ToHashCode();
    }

    /// <summary>Equal bits.</summary>
    public static bool operator ==(Numbers a, Numbers b) => a.Equals(b);

    /// <summary>Not equal.</summary>
    public static bool operator !=(Numbers a, Numbers b) => !a.Equals(b);

    /// <inheritdoc/>
    public override string ToString() => values.Length == 1 ? values[0].ToString() : $"{values.Length} numbers";
}

/// <summary>Numbers as a JSON array; non-finite ones by name.</summary>
public sealed class NumbersConverter : JsonConverter<Numbers>
{
    /// <inheritdoc/>
    public override Numbers Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException("expected an array of numbers");
        var values = new List<double>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            values.Add(reader.TokenType == JsonTokenType.String
                ? reader.GetString() switch { "NaN" => double.NaN, "Infinity" => double.PositiveInfinity, "-Infinity" => double.NegativeInfinity, var s => throw new JsonException($"not a number: {s}") }
                : reader.GetDouble());
        return new Numbers(values.ToArray());
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Numbers value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (double v in value.Span)
            if (double.IsFinite(v)) writer.WriteNumberValue(v);
            else writer.WriteStringValue(double.IsNaN(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
        writer.WriteEndArray();
    }
}

/// <summary>A node without inputs and without a computation of its own; a program gives it storage.</summary>
/// <param name="Type">What it holds.</param>
public abstract record Leaf(TensorType Type) : Op
{
    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 0);
        return [Type];
    }
}

/// <summary>Fixed numbers, kept in float64 and rounded to the precision of the run.</summary>
/// <param name="Type">Type that comes out.</param>
/// <param name="Values">One number for all elements, or one per element.</param>
public sealed record Constant(TensorType Type, Numbers Values) : Leaf(Type)
{
    /// <inheritdoc/>
    public override string Name => "constant";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        if (Values.Span.Length != 1 && Values.Span.Length != Type.Elements) throw new ShapeException($"constant {Type}: got {Values.Span.Length} numbers");
        return base.Infer(inputs);
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        for (int i = 0; i < outputs[0].Type.Elements; i++) outputs[0].Set(i, Values.Span[Values.Span.Length == 1 ? 0 : i]);
    }
}

/// <summary>A value the host writes before a run.</summary>
/// <param name="Label">The input's name.</param>
/// <param name="Type">Its type.</param>
public sealed record Input(string Label, TensorType Type) : Leaf(Type)
{
    /// <inheritdoc/>
    public override string Name => "input";
}

/// <summary>The value a variable has when a run begins.</summary>
/// <param name="Path">The variable's name.</param>
/// <param name="Type">Its type.</param>
public sealed record VariableRead(string Path, TensorType Type) : Leaf(Type)
{
    /// <inheritdoc/>
    public override string Name => "variable";
}

/// <summary>Inside a loop's body: the loop's input number Index among the values taken from outside.</summary>
/// <param name="Index">Position among the captured values.</param>
/// <param name="Type">Its type.</param>
public sealed record Capture(int Index, TensorType Type) : Leaf(Type)
{
    /// <inheritdoc/>
    public override string Name => "capture";
}

/// <summary>Inside a loop's body: a carried value as the step begins.</summary>
/// <param name="Index">Position among the carried values.</param>
/// <param name="Type">Its type.</param>
public sealed record Carried(int Index, TensorType Type) : Leaf(Type)
{
    /// <inheritdoc/>
    public override string Name => "carried";
}

/// <summary>Inside a loop's body: the step, I32 scalar, from 0.</summary>
public sealed record RepeatIndex() : Leaf(TensorType.Int(Shape.Scalar))
{
    /// <inheritdoc/>
    public override string Name => "repeat_index";
}

/// <summary>
/// A loop whose body is a graph of its own (held by the node). Inputs: the count (I32 scalar) if <paramref name="Counted"/>, the
/// initial carried values, then the captured values. Outputs: the carried values after the last step, then the stacked per-step
/// outputs [Max, ...], whose rows from the count on are 0.
/// </summary>
/// <param name="Max">Steps, or the most steps if counted.</param>
/// <param name="CarriedCount">How many carried values.</param>
/// <param name="StackedCount">How many stacked outputs.</param>
/// <param name="Counted">The number of steps is an input.</param>
public sealed record Repeat(int Max, int CarriedCount, int StackedCount, bool Counted) : Op
{
    /// <inheritdoc/>
    public override string Name => "repeat";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs) => throw new InvalidOperationException("a loop's types come from its body; use Graph.Repeat");
}
