using Engine.Algorithms.Batches;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of CO-RFT. The paper's are not known; these are of methods it is made of.</summary>
public sealed record CoRftSettings : ActorCriticSettings
{
    /// <summary>The mean over critics.</summary>
    public CoRftSettings() => CriticLossReduction = Reduction.Mean;

    /// <summary>Actions of a chunk, carried out one after another.</summary>
    [Source("reconstruction: 10"), AtLeast(1)]
    public int Chunk { get; init; } = 10;

    /// <summary>Updates that imitate alone, before values are learned.</summary>
    [AtLeast(1)]
    public int ImitationSteps { get; init; } = 10_000;

    /// <summary>Weight of the conservative term.</summary>
    [Source("Nakamoto et al. 2023: 0.1 to 5 by task"), AtLeast(0)]
    public double ConservativeWeight { get; init; } = 1;

    /// <summary>Random chunks a row in the conservative term, beside the policy's at both ends of the chunk.</summary>
    [Source("Nakamoto et al. 2023: 10"), AtLeast(1)]
    public int SampledActions { get; init; } = 10;

    /// <summary>Weight of the value against imitation: the policy maximises alpha Q / mean|Q|.</summary>
    [Source("Fujimoto and Gu 2021: 2.5"), AtLeast(0)]
    public double Alpha { get; init; } = 2.5;

    /// <summary>Standard deviation of the noise on target actions.</summary>
    [Source("Fujimoto et al. 2018: 0.2"), AtLeast(0)]
    public double TargetNoiseStd { get; init; } = 0.2;

    /// <summary>That noise is clipped to ± this.</summary>
    [Source("Fujimoto et al. 2018: 0.5"), AtLeast(0)]
    public double TargetNoiseClip { get; init; } = 0.5;

    /// <summary>Numbers of a token of the critics.</summary>
    [Source("T-SAC: 128 to 256"), AtLeast(1)]
    public int Width { get; init; } = 128;

    /// <summary>Blocks of the critics.</summary>
    [Source("T-SAC: 2"), AtLeast(1)]
    public int Blocks { get; init; } = 2;

    /// <summary>Heads of attention in each.</summary>
    [Source("T-SAC: 4"), AtLeast(1)]
    public int Heads { get; init; } = 4;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Width % Heads == 0, "width", Width, $"a multiple of heads={Heads}");
    }
}

/// <summary>
/// CO-RFT (Huang et al. 2025, "CO-RFT: Efficient Fine-Tuning of Vision-Language-Action Models through Chunked Offline Reinforcement Learning", arXiv 2508.02219; no code is published, and the equations are a reconstruction): a policy of chunks
/// imitates, then improves by TD3 with Cal-QL's term. With Q of every beginning of a chunk, q(s) = min_j Q'_j(s, pi'(s) + noise) of a whole one and G the data's return:
/// critics minimise mean_i (Q(s, a_1 ... a_i) - sum_(k below i) discount^k r_k - discount^i (1 - d_i) q(s_i))², i = 1 to h, + weight (log sum exp of random chunks' values and of max(Q, G) at the policy's - Q(s, a));
/// the policy minimises |pi(s) - a|² - alpha Q_1(s, pi(s)) / mean|Q_1|.
/// </summary>
public sealed class CoRft : Algorithm
{
    private readonly CoRftSettings _settings;
    private readonly DeterministicActor _actor, _targetActor;
    private readonly PrefixCritics _critics, _targetCritics;
    private readonly AdamOptimiser _actorOptimiser, _criticOptimiser;
    private readonly int _size;

    /// <summary>Creates the networks.</summary>
    public CoRft(AlgorithmContext context, CoRftSettings settings) : base(context, settings)
    {
        (_settings, _size) = (settings, settings.Chunk * context.ActionSize);
        DeterministicActor Actor(string name) => new(Parameters[name], context.ObservationSize, _size, settings);
        PrefixCritics Critics(string name) => new(Parameters[name], context.ObservationSize, context.ActionSize, settings.Chunk, settings.Critics, new TransformerSettings(settings.Width, settings.Blocks, settings.Heads));
        (_actor, _targetActor, _critics, _targetCritics) = (Actor("actor"), Actor("target_actor"), Critics("critics"), Critics("target_critics"));
        Targets.Copy(context.State, _actor, _targetActor);
        Targets.Copy(context.State, _critics, _targetCritics);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", _actor, settings.Adam(settings.ActorLearningRate));
        _criticOptimiser = new AdamOptimiser(context.State, "critics", _critics, settings.CriticAdam());
    }

    /// <summary>Imitation, then reinforcement.</summary>
    public override IReadOnlyList<Stage> Stages =>
    [
        new("imitate", _settings.ImitationSteps, Imitate) { Draws = [new(new Windows(_settings.Chunk))] },
        new("train", null, Update) { Draws = [new(new ReturnsToGo(_settings.Discount, new Windows(_settings.Chunk)))] },
    ];

    /// <inheritdoc/>
    public override (int Planned, int Executed) ActionHorizon => (_settings.Chunk, _settings.Chunk);

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => _actor.Act(a.Observations).Reshape(a.Rows, _settings.Chunk, -1);

    private void Imitate(Batch b)
    {
        var loss = Distance(b, _actor.Act(b.Observations.At(1, 0)));
        Report("bc_loss", loss);
        _actorOptimiser.Minimise(loss);
        Targets.Polyak(b.Graph, _actor, _targetActor, 1);
    }

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var first = b.Observations.At(1, 0);
        var data = b.Actions * b["valid"].Expand(-1);
        var (target, known) = PrefixTargets(b);
        var q = _critics.OfPrefixes(first, data);
        var tdLoss = ((q - target).Square() * known).Mean(1, 2);
        var gap = (Sampled(b, first).LogSumExp() - q.At(-1, _settings.Chunk - 1)) * known.At(1, _settings.Chunk - 1);
        var criticLoss = _settings.CriticLossReduction.Over(tdLoss + _settings.ConservativeWeight * gap.Mean(1));
        Report("td_loss", tdLoss);
        Report("conservative_gap", gap.Mean(1));
        Report("q_mean", q.Mean());
        Report("critic_loss", criticLoss);

        var action = _actor.Act(first);
        var value = _critics.Q(first, action).At(0, 0);
        var imitation = Distance(b, action);
        var actorLoss = imitation - (_settings.Alpha / value.Abs().Mean()).StopGradient() * value.Mean();
        Report("bc_loss", imitation);
        Report("actor_loss", actorLoss);
        _criticOptimiser.Minimise(criticLoss);
        _actorOptimiser.Minimise(actorLoss);
        Targets.Polyak(b.Graph, _critics, _targetCritics, _settings.TargetUpdateRate);
        Targets.Polyak(b.Graph, _actor, _targetActor, _settings.TargetUpdateRate);
    }

    /// <summary>Of every beginning what it is worth [B, h], and 1 where that is known: [B, h].</summary>
    private (Tensor Target, Tensor Known) PrefixTargets(Batch b)
    {
        int h = _settings.Chunk;
        var valid = b["valid"];
        Tensor Powers(int from) => b.Graph.Constant(TensorType.Float([h]), [.. Enumerable.Range(from, h).Select(k => Math.Pow(_settings.Discount, k))]);
        var ended = (b.Terminals * valid).CumulativeSum(1).Minimum(1);
        var earned = (b.Rewards * valid * Powers(0)).CumulativeSum(1);
        var states = b.NextObservations.Reshape(b.Rows * h, -1);
        var noise = (b.Graph.Random.Normal("target", [b.Rows * h, _size]) * _settings.TargetNoiseStd).Clip(-_settings.TargetNoiseClip, _settings.TargetNoiseClip);
        var next = _targetCritics.Q(states, (_targetActor.Act(states) + noise).Clip(-_settings.MaxAction, _settings.MaxAction)).Min(0).Reshape(b.Rows, h);
        return ((earned + Powers(1) * (1 - ended) * next).StopGradient(), valid.Maximum(ended));
    }

    /// <summary>Values [N, B, n + 2] of random chunks and, not below the data's return, of the policy's: none of them moves the policy.</summary>
    private Tensor Sampled(Batch b, Tensor first)
    {
        int n = _settings.SampledActions;
        var random = b.Graph.Random.Uniform("random_action", [b.Rows, n, _size], -_settings.MaxAction, _settings.MaxAction);
        var own = Tensor.Stack(_actor.Act(first), _actor.Act(b.NextObservations.At(1, _settings.Chunk - 1))).Permute(1, 0, 2).StopGradient();
        var values = _critics.QOfEach(first, Tensor.Concat(1, random, own));
        return Tensor.Concat(-1, values.Slice(-1, 0, n), values.Slice(-1, n, 2).Maximum(b["returns_to_go"].Reshape(1, -1, 1)));
    }

    /// <summary>The mean squared distance of chunks [B, h A] to the data's, where they are known.</summary>
    private static Tensor Distance(Batch b, Tensor chunks) => ((chunks.Reshape(b.Actions.Shape) - b.Actions).Square() * b["valid"].Expand(-1)).Mean();
}
