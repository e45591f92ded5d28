using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of XQL.</summary>
public record XqlSettings : ImplicitQSettings
{
    /// <summary>The authors': a large batch, raw observations.</summary>
    public XqlSettings() => (BatchSize, NormalizeObservations) = (1024, false);

    /// <summary>Temperature of the value's regression (the paper's beta): the larger, the closer V stays to the mean of Q.</summary>
    [Source("Garg et al. 2023, table 4: 1 halfcheetah; 1 to 5 hopper; 2 to 10 walker2d; 0.5 to 5 antmaze"), Above(0)]
    public double LossTemperature { get; init; } = 2;

    /// <summary>Exponents are cut from above here.</summary>
    [Source("Garg et al. 2023: 7; antmaze 5 to 7")]
    public double ExponentMax { get; init; } = 7;

    /// <summary>Errors of the critics count by their square up to here, beyond in a straight line.</summary>
    [Source("Div99/XQL: 20"), Above(0)]
    public double HuberDelta { get; init; } = 20;

    /// <summary>Updates of the value network in each update.</summary>
    [Source("Div99/XQL: 1; antmaze-medium-diverse 4"), AtLeast(1)]
    public int ValueUpdates { get; init; } = 1;

    /// <summary>Random actions a row at which the value's loss is taken besides.</summary>
    [Source("Div99/XQL: 0; 1 in some runs"), AtLeast(0)]
    public int RandomActionRepeats { get; init; }

    /// <summary>Standard deviation of noise on the data's actions, cut at 0.5, in the value's loss; 0: none.</summary>
    [Source("Div99/XQL: 0; halfcheetah-medium 0.1"), AtLeast(0)]
    public double ActionNoiseStd { get; init; }

    /// <summary>Layer normalisation in the value network.</summary>
    [Source("Div99/XQL: true on locomotion")]
    public bool ValueLayerNorm { get; init; }

    /// <summary>Where it stands.</summary>
    [Source("Div99/XQL: before the activation")]
    public LayerNormPosition LayerNormPosition { get; init; } = LayerNormPosition.BeforeActivation;

    /// <summary>Its epsilon.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (RandomActionRepeats > 0 && ActionNoiseStd > 0) throw new SettingsException($"action_noise_std={ActionNoiseStd}: expected 0 beside random_action_repeats={RandomActionRepeats}; the value's loss has one or the other");
    }

    /// <inheritdoc/>
    public override MlpSettings ValueNetwork() => Network().WithLayerNorm(ValueLayerNorm, LayerNormPosition, LayerNormEpsilon);
}

/// <summary>
/// XQL: IQL with V as the soft maximum of Q over the data's actions, by Gumbel regression (Garg et al. 2023, "Extreme Q-Learning: MaxEnt RL without Entropy", arXiv 2301.02328; reference: Div99/XQL offline/).
/// </summary>
public class Xql(AlgorithmContext context, XqlSettings settings) : ImplicitQ(context, settings)
{
    /// <summary>Value network, policy, critics: each with the newest value network.</summary>
    protected override void Update(Batch b)
    {
        for (int i = 0; i < settings.ValueUpdates; i++)
        {
            var valueLoss = ValueLoss(Differences(b, i == 0 ? "" : $"{i}"));
            if (i == settings.ValueUpdates - 1) Report("value_loss", valueLoss);
            ValueOptimiser.Minimise(valueLoss);
        }
        var advantage = TargetCritics.Q(b.Observations, b.Actions).Min(0) - Value(b.Observations);
        Report("advantage_mean", advantage.Mean());
        Imitate(b, advantage);

        CriticOptimiser.Minimise(CriticLoss(b, Target(b, Value(b.NextObservations))));
        UpdateTargetCritics(b.Graph);
    }

    /// <summary>Gumbel regression (equation 10), divided by the largest exponential, so that it does not overflow.</summary>
    /// <param name="difference">Q - V [...].</param>
    protected virtual Tensor ValueLoss(Tensor difference) => Gumbel(difference);

    /// <summary>The same with the settings' temperature.</summary>
    protected Tensor Gumbel(Tensor difference) => Losses.Gumbel(difference, settings.LossTemperature, settings.ExponentMax);

    /// <summary>Q - V at the data's actions, or noisy ones, and at random ones.</summary>
    private Tensor Differences(Batch b, string number)
    {
        var (random, actions) = (b.Graph.Random, b.Actions);
        if (settings.ActionNoiseStd > 0) actions = (actions + (random.Normal($"action{number}", actions.Shape) * settings.ActionNoiseStd).Clip(-0.5, 0.5)).Clip(-1, 1);
        var all = actions.Expand(1);
        if (settings.RandomActionRepeats > 0) all = Tensor.Concat(1, all, random.Uniform($"random_action{number}", [b.Rows, settings.RandomActionRepeats, Context.ActionSize], -1, 1));
        return TargetCritics.QOfEach(b.Observations, all).Min(0).StopGradient() - Value(b.Observations).Expand(-1);
    }

    /// <inheritdoc/>
    protected override Tensor TemporalDifferenceLoss(Tensor q, Tensor target)
    {
        Report("q_mean", q.Mean());
        return settings.CriticLossReduction.Over(Losses.Huber(q - target, settings.HuberDelta).Mean(1));
    }
}
