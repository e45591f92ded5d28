using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Autodiff;

namespace Engine.Algorithms.ValueBased;

/// <summary>How V becomes the maximum of Q over the data's actions.</summary>
public enum ImplicitMaximum
{
    /// <summary>Gumbel regression.</summary>
    Gumbel,
    /// <summary>Expectile regression.</summary>
    Expectile,
}

/// <summary>Hyper-parameters of ReCOIL.</summary>
public sealed record RecoilSettings : ImplicitQSettings
{
    /// <summary>How V becomes the maximum of Q.</summary>
    [Source("hari-sikchi/DVL: gumbel")]
    public ImplicitMaximum Maximum { get; init; } = ImplicitMaximum.Gumbel;

    /// <summary>Temperature of Gumbel regression.</summary>
    [Source("hari-sikchi/DVL: 2.5, 5, 10 or 20, raised until the values stay bounded"), Above(0)]
    public double LossTemperature { get; init; } = 5;

    /// <summary>Its exponents are cut from above here.</summary>
    [Source("hari-sikchi/DVL: 7")]
    public double ExponentMax { get; init; } = 7;

    /// <summary>Expectile of expectile regression.</summary>
    [Source("Kostrikov et al. 2021: 0.7"), Between(0, 1)]
    public double Expectile { get; init; } = 0.8;

    /// <summary>Reward of every step off the expert's rows, as a loss; the expert's rows are worth this over 1 - discount.</summary>
    [Source("hari-sikchi/DVL: 2, so that values lie within 200 of 0"), Above(0)]
    public double Penalty { get; init; } = 2;

    /// <summary>Share of the expert's rows in the mixed half of a batch.</summary>
    [Source("Engine's; the paper's mixed data hold some of the expert's"), Within(0, 0.99)]
    public double MixedExpert { get; init; } = 0.1;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Discount < 1, "discount", Discount, "below 1");
        Require(BatchSize * 0.5 * (MixedExpert == 0 ? 1 : Math.Min(MixedExpert, 1 - MixedExpert)) >= 1, "batch_size", BatchSize, $"at least two rows for each share with mixed_expert={MixedExpert}");
    }
}

/// <summary>
/// ReCOIL: imitation learning as dual reinforcement learning, from an expert's trajectories and any others, without rewards and discriminators: Q rises at the expert's rows, and is made consistent with falling off them at mixed
/// ones (Sikchi et al. 2024, "Dual RL: Unification and New Methods for Reinforcement and Imitation Learning", arXiv 2302.08560; reference: hari-sikchi/DVL). The expert's data are the source "expert".
/// </summary>
public sealed class Recoil(AlgorithmContext context, RecoilSettings settings) : ImplicitQ(context, settings)
{
    private const string Expert = "expert";

    /// <summary>Half a batch of the expert's rows, half of mixed ones.</summary>
    public override IReadOnlyList<Stage> Stages =>
    [
        new("train", null, Update)
        {
            Draws =
            [
                new(new Transitions(), Share: 0.5 * (1 - settings.MixedExpert)),
                .. settings.MixedExpert > 0 ? [new Draw(new Transitions(), Expert, Share: 0.5 * settings.MixedExpert)] : Array.Empty<Draw>(),
                new(new Transitions(), Expert, Expert, Share: 0.5),
            ],
        },
    ];

    /// <summary>Value network, critics, policy; each with the newest networks.</summary>
    protected override void Update(Batch b)
    {
        var expert = b.Of(Expert);
        Tensor Advantage(Batch of) => TargetCritics.Q(of.Observations, of.Actions).Min(0).StopGradient() - Value(of.Observations);
        var difference = Advantage(b);
        var valueLoss = settings.Maximum == ImplicitMaximum.Gumbel ? Losses.Gumbel(difference, settings.LossTemperature, settings.ExponentMax) : Losses.Expectile(difference, settings.Expectile).Mean();
        Report("value_loss", valueLoss);
        ValueOptimiser.Minimise(valueLoss);

        // Every step costs the penalty for ever, unless it is the expert's.
        double bound = settings.Penalty / (1 - settings.Discount);
        var next = (1 - b.Terminals) * Value(b.NextObservations) - b.Terminals * bound;
        var target = (settings.Discount * next - settings.Penalty).StopGradient();
        Tensor q = Critics.Q(b.Observations, b.Actions), ofExpert = Critics.Q(expert.Observations, expert.Actions);
        Report("q_mean", q.Mean());
        Report("q_expert", ofExpert.Mean());
        CriticOptimiser.Minimise(ReportCriticLoss(settings.CriticLossReduction.Over(((ofExpert - bound).Square().Mean(1) + (q - target).Square().Mean(1)) * 0.5)));

        var both = b.With(("observations", Tensor.Concat(0, b.Observations, expert.Observations)), ("actions", Tensor.Concat(0, b.Actions, expert.Actions)));
        Imitate(both, Advantage(both));
        UpdateTargetCritics(b.Graph);
    }
}
