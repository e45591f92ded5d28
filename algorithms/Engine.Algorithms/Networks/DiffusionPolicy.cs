using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Networks;

/// <summary>A policy that is a denoising network: it makes noise an action, step by step of a sampler, given the observation.</summary>
/// <param name="network">State n = A, condition S.</param>
/// <param name="size">A.</param>
/// <param name="schedule">What the network is trained on.</param>
/// <param name="prediction">What it says.</param>
/// <param name="sampler">How it is followed; times as the network sees them.</param>
/// <param name="revise">Another output in the place of the network's, given the state, the output and the time; null: none.</param>
public sealed class DiffusionPolicy(Denoiser network, int size, NoiseSchedule schedule, Prediction prediction, Sampler sampler, Func<Tensor, Tensor, double, Tensor>? revise = null) : Module
{
    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => network.Parameters;

    /// <summary>What is learned from actions of data: noise is added (draws <c>timestep</c>, the step of every row, and <c>denoising</c>), and the network asked.</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="actions">[B, A]</param>
    /// <returns>The squared error of the network [B, A], and the action without noise that it sees [B, A], not limited.</returns>
    public (Tensor Error, Tensor Action) Denoise(Tensor observations, Tensor actions)
    {
        var random = observations.Graph.Random;
        var steps = random.Integer("timestep", [actions.Shape[0]], observations.Graph.Constant(TensorType.Int(Shape.Scalar), schedule.Steps));
        var noise = random.Normal("denoising", actions.Shape);
        var corrupted = schedule.Corrupt(actions, steps, noise);
        var output = network.Apply(corrupted, network.Embed(DiffusionTimes.OfSteps(steps, schedule.Steps)), observations, training: true);
        return ((output - schedule.Target(prediction, actions, steps, noise)).Square(), schedule.Sample(prediction, corrupted, output, steps));
    }

    /// <summary>Actions by the sampler, of the draws <c>NAME_initial</c> and <c>NAME_steps</c>: [B, A], or several a row, [B, n, A].</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="name">Of the draws.</param>
    /// <param name="several">n; null: one.</param>
    public Tensor Sample(Tensor observations, string name, int? several = null)
    {
        var random = observations.Graph.Random;
        Shape shape = several is { } n ? [observations.Shape[0], n, size] : [observations.Shape[0], size];
        var initial = random.Normal(name + "_initial", shape);
        var draws = sampler.Draws == 0 ? null : random.Normal(name + "_steps", shape.Insert(0, sampler.Draws));
        return Sample(observations, initial, k => draws!.At(0, k));
    }

    /// <summary>Several actions a row as a policy acts, [rows, n, A].</summary>
    /// <param name="a">How to act.</param>
    /// <param name="several">n</param>
    public Tensor Sample(Acting a, int several)
    {
        var initial = a.Normal("initial", several, size);
        var draws = sampler.DrawsUsed == 0 ? null : a.Normal("steps", sampler.DrawsUsed, several, size);
        return Sample(a.Observations, initial, k => draws!.At(1, k));
    }

    /// <summary>Actions [B, A] or [B, n, A] by the sampler, from noise of that shape.</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="initial">Where the sampler starts.</param>
    /// <param name="draw">Its draws by number, of the same shape.</param>
    public Tensor Sample(Tensor observations, Tensor initial, Func<int, Tensor> draw)
    {
        var condition = observations;
        if (initial.Shape.Rank == 3 && initial.Shape[1] is var n) condition = observations.Expand(1).BroadcastTo([observations.Shape[0], n, observations.Shape[1]]).Reshape(-1, observations.Shape[1]);
        var output = network.At(observations.Graph, sampler.Times, condition);
        Tensor Network(Tensor x, int k) => revise is null ? output(x, k) : revise(x, output(x, k), sampler.Times[k]);
        return sampler.Run(initial.Reshape(-1, size), Network, k => draw(k).Reshape(-1, size)).Reshape(initial.Shape);
    }
}
