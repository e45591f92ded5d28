using Engine.Algorithms.Batches;
using Engine.Autodiff;

namespace Engine.Algorithms.Networks;

/// <summary>What a batch of single transitions, or of chunks of actions (<see cref="Chunks"/>), is to critics.</summary>
/// <param name="Actions">[B, numbers]</param>
/// <param name="Rewards">Of a chunk the discounted sum: [B].</param>
/// <param name="Continues">1, or 0 where the task ended: [B].</param>
/// <param name="Discount">Of what follows.</param>
/// <param name="Valid">1 where the trajectory had all rows of a chunk, else 0: [B]; null of single transitions.</param>
public sealed record ActionChunk(Tensor Actions, Tensor Rewards, Tensor Continues, double Discount, Tensor? Valid)
{
    /// <summary>Of a batch.</summary>
    /// <param name="b">The batch.</param>
    /// <param name="discount">Of a step, between chunks.</param>
    /// <param name="within">Of a step within a chunk; null: the same.</param>
    public static ActionChunk Of(Batch b, double discount, double? within = null)
    {
        if (b.Rewards.Shape.Rank == 1) return new(b.Actions, b.Rewards, 1 - b.Terminals, discount, null);
        int length = b.Rewards.Shape[1];
        var sum = b.Rewards.At(1, 0);
        for (int k = 1; k < length; k++) sum += b.Rewards.At(1, k) * Math.Pow(within ?? discount, k);
        return new(b.Actions.Reshape(b.Rows, -1), sum, 1 - b.Terminals.Max(1), Math.Pow(discount, length), b["valid"].At(1, length - 1));
    }

    /// <summary>1 where what the chunk earned is known to its end or the task's, 0 where the data were cut before: [B]; null of single transitions.</summary>
    public Tensor? Known => Valid?.Maximum(1 - Continues);

    /// <summary>rewards + discount continues nextValue, a constant [B].</summary>
    public Tensor Target(Tensor nextValue) => (Rewards + Discount * Continues * nextValue).StopGradient();

    /// <summary>Squared errors [N, B] of critics, those of incomplete chunks 0.</summary>
    public Tensor Errors(Tensor q, Tensor target) => Valid is null ? (q - target).Square() : (q - target).Square() * Valid;

    /// <summary>Numbers [..., B], 0 where it is not known what a chunk earned.</summary>
    public Tensor OfKnown(Tensor x) => Known is null ? x : x * Known;
}
