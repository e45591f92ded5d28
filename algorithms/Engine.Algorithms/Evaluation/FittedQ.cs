using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.Evaluation;

/// <summary>How a value is fitted.</summary>
public sealed record FittedQSettings
{
    /// <summary>Width of each hidden layer.</summary>
    [AtLeast(1)]
    public int[] HiddenSizes { get; init; } = [64, 64];

    /// <summary>Updates.</summary>
    [AtLeast(1)]
    public int Steps { get; init; } = 10_000;

    /// <summary>Rows of a batch.</summary>
    [AtLeast(1)]
    public int BatchSize { get; init; } = 256;

    /// <summary>Learning rate.</summary>
    [Above(0)]
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Discount of the value.</summary>
    [Within(0, 0.9999)]
    public double Discount { get; init; } = 0.99;

    /// <summary>How far the slow copy moves in an update.</summary>
    [Within(0, 1)]
    public double TargetUpdateRate { get; init; } = 0.005;
}

/// <summary>
/// Fitted Q evaluation: what a policy is worth, from recorded transitions of others alone (Le et al. 2019, "Batch Policy Learning under Constraints", arXiv 1903.08738): Q(s, a) follows r + discount Q'(s', policy(s')), Q' a slow copy.
/// </summary>
public static class FittedQ
{
    private const string Chosen = "policy_actions";
    private const int MostRows = 1000; // of a policy's call

    /// <summary>The mean fitted value of the policy's actions at the first observations of the data's trajectories: discounted, in the units of the recorded rewards.</summary>
    /// <param name="policy">A deterministic one: its mode is evaluated.</param>
    /// <param name="data">Transitions in memory.</param>
    /// <param name="settings">How it is fitted.</param>
    /// <param name="seed">Of parameters and batches.</param>
    /// <param name="device">Where.</param>
    /// <exception cref="SettingsException">The policy has memory or goals, which single transitions cannot give it.</exception>
    public static double Value(Policy policy, TransitionDataset data, FittedQSettings settings, ulong seed, Device device)
    {
        var table = data.Table.With(new BatchColumn(Chosen, data.Spaces.Action.Type, data.Spaces.Action.Shape), Actions(policy, data));
        var rows = TransitionDataset.Of(data.Source, data.Spaces, table);
        using var state = new State(device);
        var source = new ResidentRows(Draw.Offline, rows, state, new RewardTransform(), seed, 1);
        var build = new Builder(state, seed);
        var network = new MlpSettings { HiddenSizes = settings.HiddenSizes };
        (Module Module, Func<Tensor, Tensor, Tensor> Q) Critic(string name)
        {
            if (data.Spaces.Action is DiscreteActions discrete)
            {
                var values = new DiscreteCritics(build[name], data.ObservationSize, discrete.Count, 1, network);
                return (values, (o, a) => DiscreteCritics.Of(values.Values(o), a.Squeeze(-1).Cast(DType.I32)).At(0, 0));
            }
            var critic = new CriticEnsemble(build[name], data.ObservationSize + data.ActionSize, 1, network);
            return (critic, (o, a) => critic.Q(o, a).At(0, 0));
        }
        var (critic, slow) = (Critic("critic"), Critic("target_critic"));
        Targets.Copy(state, critic.Module, slow.Module);
        var optimiser = new AdamOptimiser(state, "critic", critic.Module, new AdamSettings { LearningRate = settings.LearningRate });
        var generator = RandomDraws.AddState(state, seed);

        var (mean, std) = data.ObservationStatistics();
        Tensor Constant(Graph graph, double[] values) => graph.Constant(TensorType.Float([values.Length]), values);
        Tensor Seen(Tensor raw) => (raw - Constant(raw.Graph, mean)) / Constant(raw.Graph, Array.ConvertAll(std, v => v + 1e-3));
        // Values of the size of 1 are learned soon, whatever the rewards are.
        double scale = Math.Max(1e-8, data.Rewards.Average(r => Math.Abs((double)r)) / (1 - settings.Discount));
        using (var update = Program.Trace(state, graph =>
        {
            graph.Random.Use(generator);
            var drawn = new DrawnRows(source, source.Draw(graph, "batch", settings.BatchSize, null), data.Spaces, "batch");
            var next = slow.Q(Seen(source.Successor("observations", drawn.At)), source.Successor(Chosen, drawn.At));
            var target = (drawn.Column("rewards") / scale + settings.Discount * (1 - drawn.Column("terminals")) * next).StopGradient();
            optimiser.Minimise((critic.Q(Seen(drawn.Column("observations")), drawn.Column("actions")) - target).Square().Mean());
            Targets.Polyak(graph, critic.Module, slow.Module, settings.TargetUpdateRate);
            graph.Random.Advance();
        })) update.Run(settings.Steps);

        int[] firsts = table.Firsts().Distinct().ToArray();
        using var value = Program.Trace(state, graph =>
        {
            var at = graph.Constant(TensorType.Int([firsts.Length]), Array.ConvertAll(firsts, row => (double)row));
            graph.Output("value", critic.Q(Seen(source.Table(graph, "observations").Gather(at)), source.Table(graph, Chosen).Gather(at)).Mean());
        });
        value.Run();
        return value.ReadScalar("value") * scale;
    }

    /// <summary>The policy's action at every row.</summary>
    private static float[] Actions(Policy policy, TransitionDataset data)
    {
        var seen = (float[])data.Table["observations"];
        int s = data.ObservationSize, a = data.ActionSize, count = data.Table.Rows, many = Math.Min(MostRows, count);
        if (policy.Spaces.Goal is not null) throw new SettingsException("a policy with goals is not evaluated on transitions: they have none");
        if (policy.For(many).Memories.Count > 0) throw new SettingsException("a policy with memory is not evaluated on transitions: they have no past");
        var (block, chosen, actions) = (new float[many * s], new float[many * a], new float[count * a]);
        var actor = policy.Start(many);
        for (int at = 0; at < count; at += many)
        {
            int here = Math.Min(many, count - at);
            seen.AsSpan(at * s, here * s).CopyTo(block);
            actor.Begin(Enumerable.Repeat(true, many).ToArray());
            actor.Act(block, default, chosen);
            chosen.AsSpan(0, here * a).CopyTo(actions.AsSpan(at * a));
        }
        return actions;
    }
}
