using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Online;

/// <summary>Where layer normalisation stands in a hidden layer.</summary>
public enum LayerNormPosition
{
    /// <summary>Between the linear layer and its activation.</summary>
    BeforeActivation,
    /// <summary>After the activation.</summary>
    AfterActivation,
}

/// <summary>Hyper-parameters of SAC.</summary>
public record SacSettings : ActorCriticSettings
{
    /// <summary>The paper's: two hidden layers, raw observations.</summary>
    public SacSettings() => (HiddenSizes, NormalizeObservations) = ([256, 256], false);

    /// <summary>Learning rate of the temperature.</summary>
    [Source("Haarnoja et al. 2018"), Above(0)]
    public double TemperatureLearningRate { get; init; } = 3e-4;

    /// <summary>Entropy the temperature aims at; null is -A.</summary>
    [Source("Haarnoja et al. 2018")]
    public double? TargetEntropy { get; init; }

    /// <summary>Lower bound of the policy's log standard deviation.</summary>
    [Source("Haarnoja et al. 2018")]
    public double LogStdMin { get; init; } = -20;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("Haarnoja et al. 2018")]
    public double LogStdMax { get; init; } = 2;

    /// <summary>Targets contain the entropy of the next action.</summary>
    [Source("Haarnoja et al. 2018")]
    public bool BackupEntropy { get; init; } = true;

    /// <summary>Updates for each step of the environment; a part of 1 for several steps an update.</summary>
    [Source("Haarnoja et al. 2018: 1"), Above(0)]
    public double UpdateRatio { get; init; } = 1;

    /// <summary>Steps of the environment with actions drawn uniformly before the first update.</summary>
    [Source("CleanRL sac_continuous_action.py: 5000"), AtLeast(1)]
    public int StartSteps { get; init; } = 5000;

    /// <summary>Rows the replay buffer holds.</summary>
    [Source("Haarnoja et al. 2018: 1,000,000"), AtLeast(2)]
    public int BufferCapacity { get; init; } = 1_000_000;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }

    /// <summary>Steps of the environment alone, and then beside updates.</summary>
    /// <param name="context">Whose environments take part.</param>
    /// <param name="draws">What an update draws.</param>
    /// <param name="update">The update.</param>
    /// <param name="start">How the policy acts before the first update; null: actions drawn uniformly.</param>
    public IReadOnlyList<Stage> Online(AlgorithmContext context, IReadOnlyList<Draw> draws, Action<Batch> update, Mode? start = null)
    {
        double updates = UpdateRatio * context.Copies;
        var first = new Interact(Draw.Online, BufferCapacity, mode: start);
        var policy = new Interact(Draw.Online, BufferCapacity, every: Math.Max(1, (int)Math.Round(updates)), atOnce: Math.Max(1, (int)Math.Round(1 / updates)));
        return
        [
            new Stage("start", (StartSteps + context.Copies - 1) / context.Copies, null) { Duties = [first] },
            new Stage("online", null, update) { Draws = draws, Duties = [policy] },
        ];
    }
}

/// <summary>
/// SAC (Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications", arXiv 1812.05905): learns by interacting, from a replay buffer. Two stages: uniform actions, then updates beside steps of the environment.
/// </summary>
public class Sac : ActorCritic
{
    private readonly SacSettings _settings;
    private readonly TanhGaussianActor _actor;
    private readonly AdamOptimiser _actorOptimiser;
    private readonly Temperature _temperature;

    /// <summary>Creates the networks.</summary>
    public Sac(AlgorithmContext context, SacSettings settings) : base(context, settings)
    {
        _settings = settings;
        _actor = new TanhGaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, new TanhGaussianSettings { Trunk = settings.Network(), LogStd = (settings.LogStdMin, settings.LogStdMax), MaxAction = settings.MaxAction });
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
        _temperature = new Temperature(Parameters, settings.TargetEntropy ?? -context.ActionSize, settings.Adam(settings.TemperatureLearningRate));
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => _settings.Online(Context, Draws, Update);

    /// <summary>What an update draws.</summary>
    protected virtual IReadOnlyList<Draw> Draws => [new Draw(new Transitions(), Draw.Online)];

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        UpdateCritics(b, next => next.Min(0), b.Graph.Random.Normal("target", b.Actions.Shape));
        UpdateActor(b, q => q.Min(0));
    }

    /// <summary>One step of the critics (equations 5 and 6) and of their targets.</summary>
    /// <param name="b">The batch.</param>
    /// <param name="value">Values [N, B] of the target critics to one [B].</param>
    /// <param name="noise">Standard normals of the next actions, [B, A].</param>
    protected void UpdateCritics(Batch b, Func<Tensor, Tensor> value, Tensor noise)
    {
        var (action, logProb) = _actor.Sample(_actor.At(b.NextObservations), noise);
        var next = value(TargetCritics.Q(b.NextObservations, action));
        if (_settings.BackupEntropy) next -= _temperature.Value(b.Graph) * logProb;
        var loss = CriticLoss(b, Target(b, next));
        CriticOptimiser.Minimise(loss);
        UpdateTargetCritics(b.Graph);
    }

    /// <summary>One step of the policy (equation 9) and of the temperature (equation 18).</summary>
    /// <param name="b">The batch.</param>
    /// <param name="value">Values [N, B] of the critics to one [B].</param>
    protected void UpdateActor(Batch b, Func<Tensor, Tensor> value)
    {
        var (action, logProb) = _actor.Sample(b.Observations, "actor");
        var temperature = _temperature.Value(b.Graph);
        var loss = (temperature * logProb - value(Critics.Q(b.Observations, action))).Mean();
        Report("actor_loss", loss);
        _actorOptimiser.Minimise(loss);

        var entropy = -logProb.Mean().StopGradient();
        var temperatureLoss = _temperature.LossOfEntropy(entropy);
        Report("entropy", entropy);
        Report("temperature", temperature);
        Report("temperature_loss", temperatureLoss);
        _temperature.Minimise(temperatureLoss);
    }
}
