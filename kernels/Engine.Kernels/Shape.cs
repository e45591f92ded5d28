using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>An immutable list of integers with value equality: dimensions, axes, strides, a permutation.</summary>
[JsonConverter(typeof(DimsConverter))]
[CollectionBuilder(typeof(Dims), nameof(Create))]
public readonly struct Dims : IEquatable<Dims>, IEnumerable<int>
{
    private readonly int[]? _values;

    private Dims(int[] values) => _values = values;

    /// <summary>A list holding a copy of the values.</summary>
    public static Dims Create(ReadOnlySpan<int> values) => new(values.ToArray());

    /// <summary>How many integers.</summary>
    public int Count => _values?.Length ?? 0;

    /// <summary>The integer at a position.</summary>
    public int this[int index] => _values![index];

    /// <summary>The integer at a position, from the end too.</summary>
    public int this[Index index] => _values![index];

    /// <summary>All integers.</summary>
    public ReadOnlySpan<int> Span => _values;

    /// <summary>A copy as an array.</summary>
    public int[] ToArray() => Span.ToArray();

    /// <summary>A list of the array's values.</summary>
    public static implicit operator Dims(int[] values) => new((int[])values.Clone());

    /// <inheritdoc/>
    public bool Equals(Dims other) => Span.SequenceEqual(other.Span);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Dims other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (int value in Span) hash.Add(value);
        return hash.ToHashCode();
    }

    /// <summary>Equal values in equal order.</summary>
    public static bool operator ==(Dims a, Dims b) => a.Equals(b);

    /// <summary>Not equal.</summary>
    public static bool operator !=(Dims a, Dims b) => !a.Equals(b);

    /// <inheritdoc/>
    public IEnumerator<int> GetEnumerator() => ((IEnumerable<int>)(_values ?? [])).GetEnumerator();

    System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public override string ToString() => "[" + string.Join(",", _values ?? []) + "]";
}

/// <summary>The sizes of a tensor's axes, row-major, last axis contiguous. Rank 0 is a scalar.</summary>
[JsonConverter(typeof(ShapeConverter))]
[CollectionBuilder(typeof(Shape), nameof(Create))]
public readonly struct Shape : IEquatable<Shape>, IEnumerable<int>
{
    /// <summary>The largest number of axes.</summary>
    public const int MaxRank = 8;

    private readonly Dims _dims;

    private Shape(Dims dims)
    {
        if (dims.Count > MaxRank) throw new ShapeException($"shape {dims} has {dims.Count} axes; at most {MaxRank} are supported");
        foreach (int size in dims.Span)
            if (size < 0) throw new ShapeException($"shape {dims} has a negative size");
        _dims = dims;
    }

    /// <summary>A shape with the given sizes.</summary>
    public static Shape Create(ReadOnlySpan<int> sizes) => new(Dims.Create(sizes));

    /// <summary>The shape of a scalar.</summary>
    public static Shape Scalar => default;

    /// <summary>Number of axes.</summary>
    public int Rank => _dims.Count;

    /// <summary>Size of an axis.</summary>
    public int this[int axis] => _dims[axis];

    /// <summary>Size of an axis, from the end too.</summary>
    public int this[Index axis] => _dims[axis];

    /// <summary>All sizes.</summary>
    public ReadOnlySpan<int> Span => _dims.Span;

    /// <summary>All sizes as a list.</summary>
    public Dims Dims => _dims;

    /// <summary>Product of the sizes; 1 for a scalar.</summary>
    public long Elements
    {
        get
        {
            long n = 1;
            foreach (int size in Span) n *= size;
            return n;
        }
    }

    /// <summary>A shape of the array's sizes.</summary>
    public static implicit operator Shape(int[] sizes) => new(sizes);

    /// <summary>Row-major strides in elements.</summary>
    public long[] Strides()
    {
        var strides = new long[Rank];
        long step = 1;
        for (int i = Rank - 1; i >= 0; i--) { strides[i] = step; step *= this[i]; }
        return strides;
    }

    /// <summary>Turns an axis that may count from the end (-1 is the last) into 0..Rank-1.</summary>
    /// <exception cref="ShapeException">The axis does not exist.</exception>
    public int Axis(int axis)
    {
        int a = axis < 0 ? axis + Rank : axis;
        if (a < 0 || a >= Rank) throw new ShapeException($"axis {axis} does not exist in shape {this}");
        return a;
    }

    /// <summary>This shape with one axis replaced by a size.</summary>
    public Shape With(int axis, int size)
    {
        var sizes = _dims.ToArray();
        sizes[Axis(axis)] = size;
        return sizes;
    }

    /// <summary>This shape with the axis removed.</summary>
    public Shape Without(int axis)
    {
        var sizes = _dims.ToList();
        sizes.RemoveAt(Axis(axis));
        return sizes.ToArray();
    }

    /// <summary>This shape with an axis of the given size inserted before the position.</summary>
    public Shape Insert(int position, int size)
    {
        var sizes = _dims.ToList();
        sizes.Insert(position, size);
        return sizes.ToArray();
    }

    /// <summary>The common shape of two under numpy's broadcasting: aligned at the last axis, sizes equal or 1.</summary>
    /// <exception cref="ShapeException">They do not fit.</exception>
    public static Shape Broadcast(Shape a, Shape b)
    {
        int rank = Math.Max(a.Rank, b.Rank);
        var sizes = new int[rank];
        for (int i = 1; i <= rank; i++)
        {
            int x = i <= a.Rank ? a[^i] : 1, y = i <= b.Rank ? b[^i] : 1;
            if (x != y && x != 1 && y != 1) throw new ShapeException($"shapes {a} and {b} do not broadcast: axis -{i} has sizes {x} and {y}");
            sizes[rank - i] = x == 1 ? y : x;
        }
        return sizes;
    }

    /// <summary>Whether this shape broadcasts to the target without changing the target.</summary>
    public bool BroadcastsTo(Shape target)
    {
        if (Rank > target.Rank) return false;
        for (int i = 1; i <= Rank; i++)
            if (this[^i] != target[^i] && this[^i] != 1) return false;
        return true;
    }

    /// <summary>Strides of this shape when read as the broadcast target: 0 along axes that repeat.</summary>
    public long[] BroadcastStrides(Shape target)
    {
        var own = Strides();
        var strides = new long[target.Rank];
        for (int i = 1; i <= Rank; i++)
            strides[target.Rank - i] = this[^i] == 1 ? 0 : own[Rank - i];
        return strides;
    }

    /// <inheritdoc/>
    public bool Equals(Shape other) => _dims.Equals(other._dims);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _dims.GetHashCode();

    /// <summary>Equal sizes.</summary>
    public static bool operator ==(Shape a, Shape b) => a.Equals(b);

    /// <summary>Not equal.</summary>
    public static bool operator !=(Shape a, Shape b) => !a.Equals(b);

    /// <inheritdoc/>
    public IEnumerator<int> GetEnumerator() => _dims.GetEnumerator();

    System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public override string ToString() => _dims.ToString();
}

/// <summary>Shapes, types or attributes that do not fit an op; the message says which and what was expected.</summary>
public sealed class ShapeException(string message) : ArgumentException(message);

/// <summary>Dims as a JSON array.</summary>
public sealed class DimsConverter : JsonConverter<Dims>
{
    /// <inheritdoc/>
    public override Dims Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException("expected an array of integers");
        var values = new List<int>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) values.Add(reader.GetInt32());
        return values.ToArray();
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Dims value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (int v in value.Span) writer.WriteNumberValue(v);
        writer.WriteEndArray();
    }
}

/// <summary>A shape as a JSON array.</summary>
public sealed class ShapeConverter : JsonConverter<Shape>
{
    private static readonly DimsConverter Inner = new();

    /// <inheritdoc/>
    public override Shape Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Shape.Create(Inner.Read(ref reader, typeof(Dims), options).Span);

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Shape value, JsonSerializerOptions options) => Inner.Write(writer, value.Dims, options);
}
