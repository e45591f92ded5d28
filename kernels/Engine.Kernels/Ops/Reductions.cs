using System.Numerics;
using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>How elements are combined.</summary>
public enum ReduceKind
{
    /// <summary>Sum; 0 of nothing.</summary>
    Sum,
    /// <summary>Largest; NaN if any is NaN; -infinity of nothing.</summary>
    Max,
    /// <summary>Smallest; NaN if any is NaN; +infinity of nothing.</summary>
    Min,
}

/// <summary>Combines along axes.</summary>
/// <param name="Kind">How.</param>
/// <param name="Axes">Ascending axes, 0..rank-1.</param>
/// <param name="Keep">Keep the axes with size 1.</param>
public sealed record Reduce([property: JsonConverter(typeof(JsonStringEnumConverter<ReduceKind>))] ReduceKind Kind, Dims Axes, bool Keep) : Op
{
    /// <inheritdoc/>
    public override string Name => Kind.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        var sizes = new List<int>();
        int next = 0;
        for (int axis = 0; axis < inputs[0].Shape.Rank; axis++)
        {
            bool reduced = next < Axes.Count && Axes[next] == axis;
            if (reduced) next++;
            if (!reduced) sizes.Add(inputs[0].Shape[axis]);
            else if (Keep) sizes.Add(1);
        }
        if (next != Axes.Count) throw Error(inputs, $"axes {Axes} must ascend and exist");
        return [TensorType.Float(sizes.ToArray())];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var from = inputs[0].Shape;
        var kept = Axes.ToArray().Aggregate(from, (shape, axis) => shape.With(axis, 1));
        var target = Indexing.Offsets(kept, from); // where each element goes
        T[] x = inputs[0].Floats, y = outputs[0].Floats;
        Array.Fill(y, Kind switch { ReduceKind.Sum => T.Zero, ReduceKind.Max => T.NegativeInfinity, _ => T.PositiveInfinity });
        for (long i = 0; i < x.Length; i++)
        {
            ref T into = ref y[target[i]];
            into = Kind switch { ReduceKind.Sum => into + x[i], ReduceKind.Max => T.Max(into, x[i]), _ => T.Min(into, x[i]) };
        }
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[0].Elements;

    /// <summary>The same as reductions of [outer, size, inner] over the middle axis, one after another, at least one. Neighbouring axes that are both reduced, or both kept, are one; the last that is reduced comes first.</summary>
    internal IReadOnlyList<(long Outer, long Size, long Inner)> Passes(Shape shape)
    {
        var axes = new List<(long Size, bool Reduced)>();
        for (int axis = 0; axis < shape.Rank; axis++)
        {
            int size = shape[axis];
            bool reduced = Axes.Contains(axis);
            if (size == 1) continue;
            if (axes.Count > 0 && axes[^1].Reduced == reduced) axes[^1] = (axes[^1].Size * size, reduced);
            else axes.Add((size, reduced));
        }
        if (!axes.Exists(a => a.Reduced)) axes.Add((1, true)); // a sum of one: -0 becomes 0
        static long Product(List<(long Size, bool Reduced)> axes) => axes.Aggregate(1L, (n, a) => n * a.Size);
        var passes = new List<(long, long, long)>();
        while (axes.FindLastIndex(a => a.Reduced) is >= 0 and var at)
        {
            passes.Add((Product(axes[..at]), axes[at].Size, Product(axes[(at + 1)..])));
            axes.RemoveAt(at);
            if (at > 0 && at < axes.Count) // its neighbours have met
            {
                axes[at - 1] = (axes[at - 1].Size * axes[at].Size, axes[at - 1].Reduced);
                axes.RemoveAt(at);
            }
        }
        return passes;
    }
}

/// <summary>The position (I32) of the largest or smallest element along an axis, which disappears. The first of equals; the first NaN if there is one.</summary>
/// <param name="Axis">The axis, 0..rank-1.</param>
/// <param name="Largest">Largest or smallest.</param>
public sealed record ArgReduce(int Axis, bool Largest) : Op
{
    /// <inheritdoc/>
    public override string Name => Largest ? "argmax" : "argmin";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        Expect(inputs, 0, DType.F32);
        if (Axis < 0 || Axis >= inputs[0].Shape.Rank || inputs[0].Shape[Axis] == 0) throw Error(inputs, $"axis {Axis} must exist and hold something");
        return [TensorType.Int(inputs[0].Shape.Without(Axis))];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var (outer, size, inner) = Indexing.Around(inputs[0].Shape, Axis);
        T[] x = inputs[0].Floats;
        for (long o = 0; o < outer; o++)
            for (long i = 0; i < inner; i++)
            {
                long start = o * size * inner + i;
                int best = 0;
                for (int k = 1; k < size; k++)
                {
                    T a = x[start + best * inner], b = x[start + k * inner];
                    if (!T.IsNaN(a) && (T.IsNaN(b) || (Largest ? b > a : b < a))) best = k;
                }
                outputs[0].Ints[o * inner + i] = best;
            }
    }
}

/// <summary>Running sums along an axis, of F32 or I32; sums of ints wrap.</summary>
/// <param name="Axis">The axis, 0..rank-1.</param>
/// <param name="Exclusive">Element i sums the ones before it only.</param>
/// <param name="Reverse">From the end.</param>
public sealed record CumulativeSum(int Axis, bool Exclusive, bool Reverse) : Op
{
    /// <inheritdoc/>
    public override string Name => "cumulative_sum";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        Arity(inputs, 1);
        if (inputs[0].DType != DType.I32) Expect(inputs, 0, DType.F32);
        if (Axis < 0 || Axis >= inputs[0].Shape.Rank) throw Error(inputs, $"axis {Axis} does not exist");
        return [new(inputs[0].DType, inputs[0].Shape)];
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        if (inputs[0].Type.DType == DType.I32) Sums(inputs[0].Ints, outputs[0].Ints, inputs[0].Shape);
        else Sums(inputs[0].Floats, outputs[0].Floats, inputs[0].Shape);
    }

    private void Sums<T>(T[] x, T[] y, Shape shape) where T : INumberBase<T>
    {
        var (outer, size, inner) = Indexing.Around(shape, Axis);
        for (long o = 0; o < outer; o++)
            for (long i = 0; i < inner; i++)
            {
                T sum = T.Zero;
                for (int step = 0; step < size; step++)
                {
                    long at = (o * size + (Reverse ? size - 1 - step : step)) * inner + i;
                    T value = x[at];
                    y[at] = Exclusive ? sum : sum + value;
                    sum += value;
                }
            }
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => inputs[0].Elements;
}
