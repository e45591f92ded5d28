using Engine.Algorithms.Batches;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Flow;

/// <summary>
/// What an episode earns by RECAP: -1 a step, of the last step 0 if it ended the task, which is success, else a number for failure; and the advantage of a step by looking so many steps ahead.
/// </summary>
/// <param name="FailureReward">Of the last step of an episode that did not end the task.</param>
/// <param name="Discount">Above 0, at most 1.</param>
/// <param name="Lookahead">m, at least 1.</param>
public sealed record StepsToSuccess(double FailureReward, double Discount, int Lookahead)
{
    /// <summary>The return of rows with so many left, their own included, and 1 or 0 of success: of [...] both.</summary>
    public Tensor Return(Tensor left, Tensor success)
    {
        var power = Power(left - 1);
        var steps = Discount == 1 ? left - 1 : (1 - power) * (1 / (1 - Discount));
        return power * (1 - success) * FailureReward - steps;
    }

    /// <summary>The same of one row, on the host.</summary>
    public double Return(int left, bool success)
    {
        double power = Math.Pow(Discount, left - 1);
        return (success ? 0 : power * FailureReward) - (Discount == 1 ? left - 1 : (1 - power) / (1 - Discount));
    }

    /// <summary>R - low scaled to the values' range, plus discount^n V(n steps later) - V(now), n = min(m, left): R the rewards of those n steps; nothing follows the episode's last step.</summary>
    /// <param name="left">Rows left, their own included, [R].</param>
    /// <param name="success">[R]</param>
    /// <param name="value">V(now) [R].</param>
    /// <param name="later">V n steps later [R]; not read where nothing follows.</param>
    /// <param name="low">The smallest return of all rows.</param>
    /// <param name="high">The largest.</param>
    public Tensor Advantage(Tensor left, Tensor success, Tensor value, Tensor later, Tensor low, Tensor high)
    {
        var follows = (left > Lookahead).Cast(DType.F32) * Math.Pow(Discount, Lookahead);
        var rewards = Return(left, success) - follows * Return((left - Lookahead).Maximum(1), success);
        return (rewards - low) / (high - low) - 1 + follows * later - value;
    }

    private Tensor Power(Tensor steps) => Discount == 1 ? steps * 0 + 1 : (steps * Math.Log(Discount)).Exp();
}

/// <summary>
/// Chunks of h actions, <c>actions</c> [B, h, A], after an episode's end the last again; <c>value_targets</c> [B], what is earned from the row on, divided by the size of the least return; and <c>positive</c> [B], 1 where the row's advantage is
/// among the largest of the batch, or where the data's column <c>demonstrations</c> says that a human acted. The other columns are the first row's.
/// </summary>
/// <param name="Length">h, at least 1.</param>
/// <param name="Earned">What is earned.</param>
/// <param name="PositiveFraction">How many of the batch are labelled positive, as a share.</param>
/// <param name="Range">The least and the largest return of the data.</param>
/// <param name="Value">V of raw observations [B, S]: [B].</param>
internal sealed record RecapRows(int Length, StepsToSuccess Earned, double PositiveFraction, ReturnRange Range, Func<Tensor, Tensor> Value) : BatchKind
{
    private const string Demonstrations = "demonstrations";

    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [.. row.Select(c => c.Name == "actions" ? c.Times(Length) : c), BatchColumn.Number("value_targets"), BatchColumn.Number("positive")];

    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (rows, graph) = (drawn.Rows, drawn.Graph);
        var left = rows.Left(drawn.At);
        var success = drawn.Column("terminals", rows.After(drawn.At, left - 1));
        var numbers = left.Cast(DType.F32);
        Tensor Positive()
        {
            var later = rows.Later("observations", drawn.At, left.Minimum(Earned.Lookahead));
            var advantage = Earned.Advantage(numbers, success, Value(drawn.Column("observations")), Value(later), graph.Read(Range.Low), graph.Read(Range.High));
            var positive = (advantage >= Quantile(advantage, 1 - PositiveFraction)).Cast(DType.F32);
            return rows.Columns.Any(c => c.Name == Demonstrations) ? positive.Maximum(drawn.Column(Demonstrations)) : positive;
        }
        return name => name switch
        {
            "actions" => drawn.Column(name, drawn.Window(Length).At),
            "value_targets" => Earned.Return(numbers, success) / graph.Read(Range.Low).Abs(),
            "positive" => Positive(),
            _ => drawn.Column(name),
        };
    }

    /// <summary>The quantile of numbers [n], linear between the two nearest.</summary>
    public static Tensor Quantile(Tensor x, double share)
    {
        double at = share * (x.Shape[0] - 1);
        int below = (int)Math.Floor(at);
        var sorted = x.Sort().Values;
        var (a, b) = (sorted.At(0, below), sorted.At(0, Math.Min(below + 1, x.Shape[0] - 1)));
        return a + (at - below) * (b - a);
    }
}

/// <summary>Before the first step, puts the least and the largest return of a dataset's rows into two variables.</summary>
/// <param name="low">[1]</param>
/// <param name="high">[1]</param>
/// <param name="earned">What is earned.</param>
internal sealed class ReturnRange(Variable low, Variable high, StepsToSuccess earned) : IDuty
{
    public Variable Low => low;

    public Variable High => high;

    public void Prepare(Trainer run)
    {
        if (!run.State.Device.HoldsData || !run.Datasets.TryGetValue(Draw.Offline, out var data)) return;
        var (least, largest) = (double.PositiveInfinity, double.NegativeInfinity);
        for (int shard = 0; shard < data.Shards; shard++)
        {
            var table = data.Shard(shard);
            var terminals = (float[])table["terminals"];
            foreach (int at in table.Transitions)
            {
                double value = earned.Return(table.Ends[at] - at, terminals[table.Ends[at] - 1] != 0);
                (least, largest) = (Math.Min(least, value), Math.Max(largest, value));
            }
        }
        if (least >= largest) throw new SettingsException($"dataset {data.Source}: every row earns {largest}, so no advantage can be told; expected episodes of several steps");
        run.State.Write(low.Name, [(float)least]);
        run.State.Write(high.Name, [(float)largest]);
    }

    public int Next(int step) => int.MaxValue;

    public void Do(Trainer run) { }
}
