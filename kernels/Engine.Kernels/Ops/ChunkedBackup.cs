using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>How values of several members become one.</summary>
public enum MemberReduction
{
    /// <summary>The smallest.</summary>
    Min,
    /// <summary>Their mean.</summary>
    Mean,
    /// <summary>A quantile, linear between the two nearest.</summary>
    Quantile,
}

/// <summary>
/// Targets of temporal differences over windows of rows of a table (Sutton 1988; Li et al. 2025, "Reinforcement Learning with Action Chunking"), in one pass: of each window up to h rewards are discounted and added, less where its trajectory has
/// fewer rows or a terminal row ends it; then, unless one did, the value of what follows.
/// Inputs: rewards [R] and terminals [R] (an end where above 0); first rows (I32) [B], of which window i has the rows first, first + stride, first + 2 stride, ... modulo R; how many rows the trajectory has from there on (I32) [B], at least 1;
/// values [N, B] of N members, or [N, B, n] logits of distributions over n equal bins from low to high, whose expectations are the values; and, optionally, the members that count (I32) [M], else all.
/// Outputs: target [B] = sum over k below m of within^k r_k + (1 - ended) discount^m v, with m rows taken and v the members' reduction; and known [B], 1 where all h rows were taken or an end was reached, else 0. A row outside 0..R-1 or a member
/// outside 0..N-1 throws on the CPU and in the interpreter; elsewhere the target is NaN.
/// </summary>
/// <param name="Length">h, at least 1.</param>
/// <param name="Discount">Of a step, of what follows the window.</param>
/// <param name="Within">Of a step within the window.</param>
/// <param name="Stride">Rows from one step to the next, at least 1.</param>
/// <param name="Members">How members' values become one.</param>
/// <param name="Quantile">Which, 0 to 1, where they become a quantile.</param>
/// <param name="Low">Lower bound of the bins of distributions.</param>
/// <param name="High">Upper bound.</param>
public sealed record ChunkedBackup(int Length, double Discount, double Within, int Stride, [property: JsonConverter(typeof(JsonStringEnumConverter<MemberReduction>))] MemberReduction Members, double Quantile = 0, double Low = 0, double High = 0) : Op
{
    /// <inheritdoc/>
    public override string Name => "chunked_backup";

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        if (inputs.Length != 6) Arity(inputs, 5);
        if (Length < 1 || Stride < 1) throw Error(inputs, $"a window of {Length} rows {Stride} apart: both are at least 1");
        foreach (int i in new[] { 0, 1, 4 }) Expect(inputs, i, DType.F32);
        foreach (int i in inputs.Length == 6 ? new[] { 2, 3, 5 } : [2, 3]) Expect(inputs, i, DType.I32);
        Shape rows = inputs[0].Shape, first = inputs[2].Shape, values = inputs[4].Shape;
        if (rows.Rank != 1 || inputs[1].Shape != rows || first.Rank != 1 || inputs[3].Shape != first) throw Error(inputs, "expected rewards [R], terminals [R], first rows [B], rows left [B]");
        if (values.Rank is not (2 or 3) || values[1] != first[0] || values[0] < 1 || values[^1] < 1 && first[0] > 0) throw Error(inputs, "expected values [N, B] or logits [N, B, n], of at least one member");
        if (values.Rank == 3 && (Members == MemberReduction.Quantile || !(Low < High))) throw Error(inputs, "logits take the minimum or the mean, and bins between two bounds");
        if (Members == MemberReduction.Quantile && !(Quantile >= 0 && Quantile <= 1)) throw Error(inputs, $"a quantile of {Quantile}: it is 0 to 1");
        if (inputs.Length == 6 && (inputs[5].Shape.Rank != 1 || inputs[5].Shape[0] < 1)) throw Error(inputs, "expected members [M], at least one");
        return [TensorType.Float(first), TensorType.Float(first)];
    }

    /// <summary>Where the members' quantile lies in their order: after this many, and how far towards the next.</summary>
    public (int Rank, double Beyond) QuantilePlace(int members)
    {
        double at = Quantile * (members - 1);
        int rank = Math.Min((int)at, Math.Max(0, members - 2));
        return (rank, at - rank);
    }

    /// <inheritdoc/>
    public override double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => outputs[0].Elements * (4.0 * Length + 3) + (inputs[4].Shape.Rank == 3 ? 6.0 : 1.0) * inputs[4].Elements;

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var (rewards, terminals, values) = (inputs[0].Floats, inputs[1].Floats, inputs[4].Floats);
        int windows = inputs[2].Ints.Length, n = inputs[4].Shape.Rank == 3 ? inputs[4].Shape[2] : 0;
        int[] members = inputs.Length == 6 ? inputs[5].Ints : Enumerable.Range(0, inputs[4].Shape[0]).ToArray();
        foreach (int member in members) CheckMember(member, inputs[4].Shape[0]);
        for (int i = 0; i < windows; i++)
        {
            CheckRow(inputs[2].Ints[i], rewards.Length);
            T sum = T.Zero, power = T.One, following = T.One;
            bool ended = false;
            int taken = 0;
            long row = inputs[2].Ints[i];
            for (; taken < Length && taken < inputs[3].Ints[i] && !ended; taken++)
            {
                sum += power * rewards[row];
                power *= T.CreateTruncating(Within);
                following *= T.CreateTruncating(Discount);
                ended = terminals[row] > T.Zero;
                row = (row + Stride) % rewards.Length;
            }
            if (!ended) sum += following * Reduced(members.Select(m => n == 0 ? values[(long)m * windows + i] : Expectation<T>(values.AsSpan((int)(((long)m * windows + i) * n), n))).ToArray());
            outputs[0].Floats[i] = sum;
            outputs[1].Floats[i] = ended || taken == Length ? T.One : T.Zero;
        }
    }

    private T Expectation<T>(ReadOnlySpan<T> logits) where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        T largest = logits[0], sum = T.Zero, weighted = T.Zero, low = T.CreateTruncating(Low), width = T.CreateTruncating((High - Low) / logits.Length);
        foreach (T logit in logits) largest = T.Max(largest, logit);
        for (int j = 0; j < logits.Length; j++)
        {
            T e = T.Exp(logits[j] - largest);
            sum += e;
            weighted += e * (low + width * (T.CreateTruncating(j) + T.CreateTruncating(0.5)));
        }
        return weighted / sum;
    }

    private T Reduced<T>(T[] values) where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        if (Members == MemberReduction.Quantile)
        {
            var (rank, beyond) = QuantilePlace(values.Length);
            Array.Sort(values);
            return values[rank] + T.CreateTruncating(beyond) * (values[Math.Min(rank + 1, values.Length - 1)] - values[rank]);
        }
        T result = values[0];
        foreach (T value in values[1..]) result = Members == MemberReduction.Mean ? result + value : T.Min(result, value);
        return Members == MemberReduction.Mean ? result * T.CreateTruncating(1.0 / values.Length) : result;
    }

    /// <summary>Throws for a row outside the table.</summary>
    public static void CheckRow(int row, int rows)
    {
        if ((uint)row >= (uint)rows) throw new ArgumentOutOfRangeException(nameof(row), $"chunked_backup: row {row} is outside 0..{rows - 1}");
    }

    /// <summary>Throws for a member that there is not.</summary>
    public static void CheckMember(int member, int members)
    {
        if ((uint)member >= (uint)members) throw new ArgumentOutOfRangeException(nameof(member), $"chunked_backup: member {member} is outside 0..{members - 1}");
    }
}
