using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.QEnsembles;

/// <summary>Hyper-parameters of SAC-N.</summary>
public record SacNSettings : AlgorithmSettings
{
    /// <summary>Members of the ensemble, N.</summary>
    [Source("An et al. 2021: 10 halfcheetah, 20 walker2d, 200-500 hopper")]
    public int Critics { get; init; } = 10;

    /// <summary>Discount.</summary>
    [Source("An et al. 2021")]
    public double Discount { get; init; } = 0.99;

    /// <summary>How far the target critics move towards the critics per update.</summary>
    [Source("An et al. 2021")]
    public double TargetUpdateRate { get; init; } = 0.005;

    /// <summary>Learning rate of the policy.</summary>
    [Source("An et al. 2021")]
    public double ActorLearningRate { get; init; } = 3e-4;

    /// <summary>Learning rate of the critics.</summary>
    [Source("An et al. 2021")]
    public double CriticLearningRate { get; init; } = 3e-4;

    /// <summary>Learning rate of the temperature.</summary>
    [Source("An et al. 2021")]
    public double TemperatureLearningRate { get; init; } = 3e-4;

    /// <summary>Entropy the temperature aims at; null is -A.</summary>
    [Source("Haarnoja et al. 2018")]
    public double? TargetEntropy { get; init; }

    /// <summary>Lower bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMin { get; init; } = -5;

    /// <summary>Upper bound of the policy's log standard deviation.</summary>
    [Source("CORL")]
    public double LogStdMax { get; init; } = 2;

    /// <summary>Inside the logarithm of the tanh correction.</summary>
    [Source("CORL")]
    public double LogProbEpsilon { get; init; } = 1e-6;

    /// <summary>Squared errors of the members are averaged over the batch and then: sum, or mean.</summary>
    [Source("CORL: sum; LB-SAC: mean")]
    public string CriticLossReduction { get; init; } = "sum";

    /// <summary>Layer normalisation (one per depth, shared by the members) in the critics.</summary>
    [Source("LB-SAC, hopper-medium only")]
    public bool CriticLayerNorm { get; init; }

    /// <summary>Epsilon of that layer normalisation.</summary>
    public double LayerNormEpsilon { get; init; } = 1e-5;

    /// <summary>corl: temperature, actor, critics one after the other, each with the newest versions and a fresh action; authors: all losses from the
    /// parameters before the update, one action shared by temperature and actor.</summary>
    [Source("CORL sac_n.py; snu-mllab/EDAC sac.py")]
    public string UpdateOrder { get; init; } = "corl";

    /// <summary>How parameters begin (docs/initialisers.md): authors, corl, or lb-sac (last critic layer ±1).</summary>
    [Source("CORL; snu-mllab/EDAC; tinkoff-ai/lb-sac")]
    public string Init { get; init; } = "corl";

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Critics >= 1, "critics", Critics, "at least 1");
        Require(Discount is >= 0 and <= 1, "discount", Discount, "0 to 1");
        Require(TargetUpdateRate is >= 0 and <= 1, "target_update_rate", TargetUpdateRate, "0 to 1");
        Require(ActorLearningRate > 0, "actor_learning_rate", ActorLearningRate, "above 0");
        Require(CriticLearningRate > 0, "critic_learning_rate", CriticLearningRate, "above 0");
        Require(TemperatureLearningRate > 0, "temperature_learning_rate", TemperatureLearningRate, "above 0");
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
        Require(CriticLossReduction is "sum" or "mean", "critic_loss_reduction", CriticLossReduction, "sum or mean");
        Require(UpdateOrder is "corl" or "authors", "update_order", UpdateOrder, "corl or authors");
        Require(Init is "authors" or "corl" or "lb-sac", "init", Init, "authors, corl or lb-sac");
    }
}

/// <summary>
/// SAC-N: soft actor-critic whose target and actor use the minimum over N critics (An et al. 2021, "Uncertainty-Based Offline
/// Reinforcement Learning with Diversified Q-Ensemble"; reference: CORL sac_n.py).
/// </summary>
public class SacN : Algorithm
{
    private readonly SacNSettings _settings;
    private readonly AdamOptimiser _actorOptimiser, _criticOptimiser, _temperatureOptimiser;
    private readonly Variable _logTemperature;
    private readonly double _targetEntropy;

    /// <summary>Creates the networks.</summary>
    public SacN(AlgorithmContext context, SacNSettings settings) : base(context, settings)
    {
        _settings = settings;
        _targetEntropy = settings.TargetEntropy ?? -context.ActionSize;
        Actor = new TanhGaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings);
        Critics = Ensemble("critics");
        TargetCritics = Ensemble("target_critics");
        Targets.Copy(context.State, Critics.Parameters, TargetCritics.Parameters);
        _logTemperature = Parameters.Parameter("log_temperature", [1], Initialiser.Constant(0), 1, 1);
        _actorOptimiser = new AdamOptimiser(context.State, "actor", Actor.Parameters, settings.Adam(settings.ActorLearningRate));
        _criticOptimiser = new AdamOptimiser(context.State, "critics", Critics.Parameters, settings.Adam(settings.CriticLearningRate));
        _temperatureOptimiser = new AdamOptimiser(context.State, "log_temperature", [_logTemperature], settings.Adam(settings.TemperatureLearningRate));
    }

    private CriticEnsemble Ensemble(string name)
    {
        var last = Initialiser.Uniform(3e-3);
        return new CriticEnsemble(Parameters[name], Context.ObservationSize + Context.ActionSize, _settings.Critics, _settings.Network() with
        {
            Initialisation = _settings.Init switch
            {
                "authors" => new Initialisation(Initialiser.UniformFanIn, Initialiser.Constant(0.1), last, last),
                "corl" => new Initialisation(Initialiser.UniformFanOut, Initialiser.Constant(0.1), last, last),
                // The fan of the last layer, one output, makes its bound 1: members start far apart.
                _ => new Initialisation(Initialiser.UniformFanOut, Initialiser.UniformFanOut, Initialiser.UniformFanOut, Initialiser.UniformFanOut),
            },
            LayerNormEpsilon = _settings.CriticLayerNorm ? _settings.LayerNormEpsilon : null,
        });
    }

    /// <summary>The policy.</summary>
    protected TanhGaussianActor Actor { get; }

    /// <summary>The ensemble.</summary>
    protected CriticEnsemble Critics { get; }

    /// <summary>Its slow copy.</summary>
    protected CriticEnsemble TargetCritics { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => ["critic_loss", "actor_loss", "temperature_loss", "temperature", "entropy", "q_mean", "q_std"];

    /// <inheritdoc/>
    protected override Tensor Act(Tensor observations) => Actor.Mode(observations);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var graph = b.Observations.Graph;
        if (_settings.UpdateOrder == "corl")
        {
            var (_, logProb) = Actor.Sample(b.Observations, "temperature");
            _temperatureOptimiser.Minimise(TemperatureLoss(logProb));
            var temperature = Temperature(graph);
            _actorOptimiser.Minimise(ActorLoss(b, Actor.Sample(b.Observations, "actor"), temperature));
            _criticOptimiser.Minimise(CriticLoss(b, Target(b, temperature)));
        }
        else
        {
            var sample = Actor.Sample(b.Observations, "actor");
            var temperature = Temperature(graph);
            var temperatureLoss = TemperatureLoss(sample.LogProb);
            var actorLoss = ActorLoss(b, sample, temperature);
            var criticLoss = CriticLoss(b, Target(b, temperature));
            _temperatureOptimiser.Minimise(temperatureLoss);
            _actorOptimiser.Minimise(actorLoss);
            _criticOptimiser.Minimise(criticLoss);
        }
        Report("temperature", Temperature(graph));
        Targets.Polyak(graph, Critics.Parameters, TargetCritics.Parameters, _settings.TargetUpdateRate);
    }

    private Tensor Temperature(Graph graph) => graph.Read(_logTemperature).Exp().StopGradient();

    private Tensor TemperatureLoss(Tensor logProb)
    {
        var loss = (-logProb.Graph.Read(_logTemperature) * (logProb + _targetEntropy).StopGradient()).Mean();
        Report("temperature_loss", loss);
        return loss;
    }

    private Tensor ActorLoss(Batch b, (Tensor Action, Tensor LogProb) sample, Tensor temperature)
    {
        var q = Critics.Q(b.Observations, sample.Action);
        var loss = (temperature * sample.LogProb - q.Min(0)).Mean();
        Report("actor_loss", loss);
        Report("entropy", -sample.LogProb.Mean());
        return loss;
    }

    private Tensor Target(Batch b, Tensor temperature)
    {
        var (nextAction, nextLogProb) = Actor.Sample(b.NextObservations, "target");
        var next = TargetCritics.Q(b.NextObservations, nextAction).Min(0) - temperature * nextLogProb;
        return (b.Rewards + _settings.Discount * (1 - b.Terminals) * next).StopGradient();
    }

    /// <summary>What the critics minimise, given the target [B].</summary>
    protected virtual Tensor CriticLoss(Batch b, Tensor target)
    {
        var loss = TemporalDifferenceLoss(Critics.Q(b.Observations, b.Actions), target);
        Report("critic_loss", loss);
        return loss;
    }

    /// <summary>Squared errors of all members [N, B], averaged over the batch and summed or averaged over members.</summary>
    protected Tensor TemporalDifferenceLoss(Tensor q, Tensor target)
    {
        Report("q_mean", q.Mean());
        Report("q_std", (q - q.MeanKeep(0)).Square().Mean(0).Sqrt().Mean());
        var perMember = (q - target).Square().Mean(1);
        return _settings.CriticLossReduction == "sum" ? perMember.Sum() : perMember.Mean();
    }
}
