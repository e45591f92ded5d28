using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of OAP. The paper states them for no released code; the defaults are Engine's.</summary>
public sealed record OapSettings : Td3BcSettings
{
    /// <summary>Questions in all.</summary>
    [Source("Engine's"), AtLeast(1)]
    public int Questions { get; init; } = 10_000;

    /// <summary>Questions at a time.</summary>
    [Source("Engine's"), AtLeast(1)]
    public int QuestionsAtOnce { get; init; } = 500;

    /// <summary>Updates between them.</summary>
    [Source("Engine's"), AtLeast(1)]
    public int QuestionEvery { get; init; } = 500;

    /// <summary>Steps for which the expert goes on after each of two actions, to compare them.</summary>
    [Source("Engine's"), AtLeast(1)]
    public int ExpertSteps { get; init; } = 100;

    /// <summary>Share of the answers that are a coin's.</summary>
    [Source("Engine's: 0; 1 takes the answers' worth away"), Within(0, 1)]
    public double RandomAnswers { get; init; }

    /// <summary>Learning rate of the network that learns the answers.</summary>
    [Source("Engine's"), Above(0)]
    public double PreferenceLearningRate { get; init; } = 3e-4;

    /// <summary>Weight of imitation where the data's action is certainly the better one; where the policy's is it is 0, and 1 where neither is.</summary>
    [Source("Engine's"), AtLeast(1)]
    public double StrongestConstraint { get; init; } = 2;
}

/// <summary>
/// OAP on TD3+BC: an expert is asked whether the data's or the policy's action is the better one, a network learns the answers, and the policy is held to the data's action the more, the surer that is the better one (Yang et al. 2023,
/// "Boosting Offline Reinforcement Learning with Action Preference Query", arXiv 2306.03362; the weights are Engine's, the paper's code is not published).
/// </summary>
public sealed class Oap : Td3Bc
{
    private readonly OapSettings _settings;
    private readonly Mlp _preference;
    private readonly AdamOptimiser _optimiser;
    private readonly Variable _answers, _count;

    /// <summary>Creates the networks.</summary>
    public Oap(AlgorithmContext context, OapSettings settings) : base(context, settings)
    {
        _settings = settings;
        int width = context.ObservationSize + 2 * context.ActionSize;
        _preference = new Mlp(Parameters["preference"], width, 1, settings.Network());
        _optimiser = new AdamOptimiser(context.State, "preference", _preference, settings.Adam(settings.PreferenceLearningRate));
        _answers = context.State.AddZeros("preference.answers", TensorType.Float([settings.Questions, width + 1]));
        _count = context.State.AddZeros("preference.count", TensorType.Int(Shape.Scalar));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [.. base.Stages.Select(s => s with { Duties = [new PreferenceQueries(_settings, _answers, _count)] })];

    /// <summary>The network learns some of the answers, then TD3+BC's update follows.</summary>
    protected override void Update(Batch b)
    {
        var at = b.Graph.Random.Integer("answer", [b.Rows], b.Graph.Read(_count));
        var asked = b.Graph.Read(_answers).Gather(at);
        int width = asked.Shape[1] - 1;
        var (logit, better) = (_preference.Apply(asked.Slice(1, 0, width)).Squeeze(-1), asked.At(1, width));
        var loss = (logit.Softplus() - better * logit).Mean();
        Report("preference_loss", loss);
        Report("preference_accuracy", ((logit > 0).Cast(DType.F32) - better).Abs().Mean() * -1 + 1);
        _optimiser.Minimise(loss);
        base.Update(b);
    }

    /// <summary>Squared errors, weighted by how much more likely than not the data's action is the better one.</summary>
    protected override Tensor Imitation(Batch b, Tensor action)
    {
        var sure = _preference.Apply(Tensor.Concat(-1, b.Observations, b.Actions, action)).Sigmoid().StopGradient();
        // 0 at 0, 1 at a half, strongest_constraint at 1, in two straight lines.
        var weight = (sure * 2).Minimum(1) + (sure - 0.5).Relu() * (2 * (_settings.StrongestConstraint - 1));
        Report("constraint", weight.Mean());
        return (weight * (action - b.Actions).Square()).Mean();
    }
}
