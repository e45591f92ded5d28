using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms;

/// <summary>How losses of several critics, averaged over the batch, become one.</summary>
public enum Reduction
{
    /// <summary>Their sum.</summary>
    Sum,
    /// <summary>Their mean.</summary>
    Mean,
}

/// <summary>Hyper-parameters that methods with critics and a policy share; the defaults are CORL's.</summary>
public abstract record ActorCriticSettings : ContinuousSettings
{
    /// <summary>CORL's: normalised observations.</summary>
    protected ActorCriticSettings() => NormalizeObservations = true;

    /// <summary>Critics; targets take their minimum.</summary>
    [Source("Fujimoto et al. 2018: twin critics"), AtLeast(1)]
    public int Critics { get; init; } = 2;

    /// <summary>Discount.</summary>
    [Source("CORL"), Within(0, 1)]
    public double Discount { get; init; } = 0.99;

    /// <summary>How far target networks move per update of theirs.</summary>
    [Source("CORL"), Within(0, 1)]
    public double TargetUpdateRate { get; init; } = 0.005;

    /// <summary>Learning rate of the policy.</summary>
    [Source("CORL"), Above(0)]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <summary>Learning rate of the critics.</summary>
    [Source("CORL"), Above(0)]
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>Squared errors of the critics are averaged over the batch and then: sum, or mean.</summary>
    [Source("CORL: sum; its IQL: mean")]
    public Reduction CriticLossReduction { get; init; } = Reduction.Sum;

    /// <summary>Actions that the critics value at once; 1 unless they are chunks.</summary>
    public virtual int ActionsAtOnce() => 1;

    /// <summary>Numbers that a critic sees.</summary>
    public virtual int CriticInputs(AlgorithmContext context) => context.ObservationSize + ActionsAtOnce() * context.ActionSize;

    /// <summary>The layers of a critic.</summary>
    public virtual MlpSettings CriticNetwork() => Network();

    /// <summary>The bins of critics whose values are distributions; null: they are numbers.</summary>
    public virtual ValueSupport? Support() => null;

    /// <summary>Trains the critics.</summary>
    public virtual AdamSettings CriticAdam() => Adam(CriticLearningRate);
}

/// <summary>What methods with critics and a policy share: critics, their targets, their loss.</summary>
public abstract class ActorCritic : Algorithm
{
    private readonly ActorCriticSettings _settings;

    /// <summary>Creates critics and target critics.</summary>
    protected ActorCritic(AlgorithmContext context, ActorCriticSettings settings) : base(context, settings)
    {
        _settings = settings;
        int inputs = settings.CriticInputs(context);
        Critics = new CriticEnsemble(Parameters["critics"], inputs, settings.Critics, settings.CriticNetwork(), settings.Support());
        TargetCritics = new CriticEnsemble(Parameters["target_critics"], inputs, settings.Critics, settings.CriticNetwork(), settings.Support());
        Targets.Copy(context.State, Critics, TargetCritics);
        CriticOptimiser = new AdamOptimiser(context.State, "critics", Critics, settings.CriticAdam());
    }

    /// <summary>Chunks are carried out to their end.</summary>
    public override (int Planned, int Executed) ActionHorizon => (_settings.ActionsAtOnce(), _settings.ActionsAtOnce());

    /// <summary>The critics.</summary>
    protected CriticEnsemble Critics { get; }

    /// <summary>Their slow copies.</summary>
    protected CriticEnsemble TargetCritics { get; }

    /// <summary>Trains the critics.</summary>
    protected AdamOptimiser CriticOptimiser { get; }

    /// <summary>rewards + discount (1 - terminals) nextValue, a constant [B].</summary>
    protected Tensor Target(Batch b, Tensor nextValue) => (b.Rewards + _settings.Discount * (1 - b.Terminals) * nextValue).StopGradient();

    /// <summary>What the critics minimise, given the target [B]: by default the squared errors at the batch's actions.</summary>
    protected virtual Tensor CriticLoss(Batch b, Tensor target) => ReportCriticLoss(TemporalDifferenceLoss(Critics.Q(b.Observations, b.Actions), target));

    /// <summary>Squared errors of all critics [N, B], averaged over the batch and summed or averaged over critics.</summary>
    protected virtual Tensor TemporalDifferenceLoss(Tensor q, Tensor target)
    {
        Report("q_mean", q.Mean());
        return _settings.CriticLossReduction.Over((q - target).Square().Mean(1));
    }

    /// <summary>Reports what the critics minimise, and returns it.</summary>
    protected static Tensor ReportCriticLoss(Tensor loss)
    {
        Report("critic_loss", loss);
        return loss;
    }

    /// <summary>Moves the target critics.</summary>
    protected void UpdateTargetCritics(Graph graph) => Targets.Polyak(graph, Critics, TargetCritics, _settings.TargetUpdateRate);
}
