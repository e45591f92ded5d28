using Engine.Algorithms.Data;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Rows that are held out: batch k has the rows k B to (k + 1) B - 1 of a fixed order, and the first again after the last, so that as many batches as there are rows for see every one, and every evaluation sees the same.
/// </summary>
/// <param name="source">Name of the source in whose place they are drawn.</param>
/// <param name="data">The rows, in memory.</param>
/// <param name="state">Where they go.</param>
/// <param name="rewards">How rewards are changed.</param>
/// <param name="scale">The data that are trained on, whose returns scale the rewards.</param>
/// <param name="seed">Of the order, another for every draw.</param>
/// <param name="batch">Number of the batch: an I32 scalar.</param>
internal sealed class HeldOutRows(string source, TransitionDataset data, State state, RewardTransform rewards, TrainingData scale, ulong seed, Func<Graph, Tensor> batch)
    : ResidentRows($"heldout.{source}", data, state, rewards, seed, 1, scale)
{
    private readonly ulong _seed = seed;

    /// <summary>Transitions.</summary>
    public int Transitions { get; } = data.Count;

    /// <inheritdoc/>
    public override Tensor Draw(Graph graph, string draw, int count, string? weight)
    {
        // Weights say how often a row counts: these are drawn as in training, by a generator that evaluations begin anew.
        if (weight is not null) return base.Draw(graph, draw, count, weight);
        var order = Resident(graph, $"{draw}.order", DType.I32, [Transitions], (_, _) =>
        {
            int[] numbers = Enumerable.Range(0, Transitions).ToArray();
            new PhiloxStream(_seed, $"heldout.{draw}").Shuffle(numbers);
            return numbers;
        });
        var place = batch(graph) * Int(graph, count) + graph.Iota(TensorType.Int([count]));
        return Transition(order.Gather(place.Modulo(Transitions)));
    }
}
