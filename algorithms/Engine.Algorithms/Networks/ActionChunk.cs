using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>What a batch of single transitions, or of chunks of actions (<see cref="Batches.Chunks"/>), is to critics. Rewards are read where they lie: of drawn rows in their table, of others in the batch.</summary>
public sealed record ActionChunk
{
    private readonly int _length, _stride;
    private readonly double _discount, _within;
    private readonly Tensor _rewards, _terminals, _first, _left;

    private ActionChunk(Batch b, double discount, double within)
    {
        var graph = b.Graph;
        bool single = b.Actions.Shape.Rank == 2;
        (_length, _discount, _within) = (single ? 1 : b.Actions.Shape[1], discount, within);
        Actions = b.Actions.Reshape(b.Rows, -1);
        Valid = single ? null : b["valid"].At(1, _length - 1);
        if (b.Drawn is { } drawn)
        {
            (_rewards, _terminals) = (drawn.Rows.Table(graph, "rewards"), drawn.Rows.Table(graph, "terminals"));
            (_first, _left, _stride) = (drawn.At, drawn.Rows.Left(drawn.At), drawn.Rows.Stride);
            return;
        }
        (_rewards, _terminals, _stride) = (b.Rewards.Reshape(-1), b.Terminals.Reshape(-1), 1);
        _first = graph.Iota(TensorType.Int([b.Rows])) * _length;
        _left = single ? graph.Constant(TensorType.Int([b.Rows]), 1) : b["valid"].Sum(1).Cast(DType.I32);
    }

    /// <summary>[B, numbers]</summary>
    public Tensor Actions { get; }

    /// <summary>1 where the trajectory had all rows of a chunk, else 0: [B]; null of single transitions.</summary>
    public Tensor? Valid { get; }

    /// <summary>Of a batch.</summary>
    /// <param name="b">The batch.</param>
    /// <param name="discount">Of a step, between chunks.</param>
    /// <param name="within">Of a step within a chunk; null: the same.</param>
    public static ActionChunk Of(Batch b, double discount, double? within = null) => new(b, discount, within ?? discount);

    /// <summary>What a chunk earned and the value of what follows, a constant [B]; and 1 where that is known to its end or the task's, 0 where the data were cut before, [B]: null of single transitions.</summary>
    /// <param name="next">Values of what follows [N, B], of N members; or logits of their distributions [N, B, n].</param>
    /// <param name="members">How they become one.</param>
    /// <param name="support">The bins of distributions.</param>
    public (Tensor Value, Tensor? Known) Target(Tensor next, MemberReduction members, ValueSupport? support = null)
    {
        var backup = new ChunkedBackup(_length, _discount, _within, _stride, members, Low: support?.Low ?? 0, High: support?.High ?? 0);
        var (target, known) = Tensor.ChunkedBackup(backup, _rewards, _terminals, _first, _left, next);
        return (target, Valid is null ? null : known);
    }

    /// <summary>Squared errors [N, B] of critics, those of incomplete chunks 0.</summary>
    public Tensor Errors(Tensor q, Tensor target) => Valid is null ? (q - target).Square() : (q - target).Square() * Valid;
}
