using System.Text.Json.Serialization;
using Engine.Algorithms.Networks;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.QEnsembles;

/// <summary>Which losses see which parameters.</summary>
public enum UpdateOrder
{
    /// <summary>Temperature, actor, critics one after the other, each with the newest versions and a fresh action.</summary>
    Corl,
    /// <summary>All losses from the parameters before the update, one action shared by temperature and actor.</summary>
    Authors,
}

/// <summary>How parameters begin (docs/initialisers.md).</summary>
public enum EnsembleInit
{
    /// <summary>CORL's.</summary>
    Corl,
    /// <summary>snu-mllab/EDAC's.</summary>
    Authors,
    /// <summary>tinkoff-ai/lb-sac's: the last layer of the critics within ±1.</summary>
    [JsonStringEnumMemberName("lb-sac")]
    LbSac,
}

/// <summary>Hyper-parameters of SAC-N.</summary>
public record SacNSettings : ActorCriticSettings
{
    /// <summary>The paper's.</summary>
    public SacNSettings() => (Critics, NormalizeObservations) = (10, false);

    /// <summary>Learning rate of the temperature.</summary>
    [Source("An et al. 2021"), Above(0)]
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
    [Source("CORL"), AtLeast(0)]
    public double LogProbEpsilon { get; init; } = 1e-6;

    /// <summary>Layer normalisation (one per depth, shared by the members) in the critics.</summary>
    [Source("LB-SAC, hopper-medium only")]
    public bool CriticLayerNorm { get; init; }

    /// <summary>Epsilon of that layer normalisation.</summary>
    [AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-5;

    /// <summary>Which losses see which parameters.</summary>
    [Source("CORL sac_n.py; snu-mllab/EDAC sac.py")]
    public UpdateOrder UpdateOrder { get; init; } = UpdateOrder.Corl;

    /// <summary>How parameters begin.</summary>
    [Source("CORL; snu-mllab/EDAC; tinkoff-ai/lb-sac")]
    public EnsembleInit Init { get; init; } = EnsembleInit.Corl;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(LogStdMin <= LogStdMax, "log_std_min", LogStdMin, $"at most log_std_max={LogStdMax}");
    }

    private static readonly Initialiser Last = Initialiser.Uniform(3e-3), Head = Initialiser.Uniform(1e-3);

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => Network() with
    {
        Initialisation = Init switch
        {
            EnsembleInit.Authors => new Initialisation(Initialiser.UniformFanIn, Initialiser.Constant(0.1), Last, Last),
            EnsembleInit.Corl => new Initialisation(Initialiser.UniformFanOut, Initialiser.Constant(0.1), Last, Last),
            // The fan of the last layer, one output, makes its bound 1: members start far apart.
            _ => new Initialisation(Initialiser.UniformFanOut, Initialiser.UniformFanOut, Initialiser.UniformFanOut, Initialiser.UniformFanOut),
        },
        LayerNormEpsilon = CriticLayerNorm ? LayerNormEpsilon : null,
    };

    /// <summary>The policy.</summary>
    public TanhGaussianSettings Actor() => new()
    {
        Trunk = Network() with
        {
            Initialisation = Init switch
            {
                EnsembleInit.Authors => new Initialisation(Initialiser.UniformFanOut, Initialiser.Constant(0.1), Head, Head),
                EnsembleInit.Corl => new Initialisation(Initialiser.UniformFanIn, Initialiser.Constant(0.1), Head, Head),
                _ => Initialisation.PyTorch,
            },
        },
        Head = Init == EnsembleInit.LbSac ? Initialiser.UniformFanIn : Head,
        LogStd = (LogStdMin, LogStdMax),
        LogProbEpsilon = LogProbEpsilon,
        MaxAction = MaxAction,
    };
}

/// <summary>
/// SAC-N: soft actor-critic whose target and actor use the minimum over N critics (An et al. 2021, "Uncertainty-Based Offline
/// Reinforcement Learning with Diversified Q-Ensemble"; reference: CORL sac_n.py).
/// </summary>
public class SacN : ActorCritic
{
    private readonly SacNSettings _settings;
    private readonly AdamOptimiser _actorOptimiser;
    private readonly Temperature _temperature;

    /// <summary>Creates the networks.</summary>
    public SacN(AlgorithmContext context, SacNSettings settings) : base(context, settings)
    {
        _settings = settings;
        Actor = new TanhGaussianActor(Parameters["actor"], context.ObservationSize, context.ActionSize, settings.Actor());
        _actorOptimiser = new AdamOptimiser(context.State, "actor", Actor, settings.Adam(settings.ActorLearningRate));
        _temperature = new Temperature(Parameters, settings.TargetEntropy ?? -context.ActionSize, settings.Adam(settings.TemperatureLearningRate));
    }

    /// <summary>The policy.</summary>
    protected TanhGaussianActor Actor { get; }

    /// <inheritdoc/>
    protected override Tensor Act(Acting a) => Actor.Act(a);

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var graph = b.Observations.Graph;
        if (_settings.UpdateOrder == UpdateOrder.Corl)
        {
            var (_, logProb) = Actor.Sample(b.Observations, "temperature");
            _temperature.Minimise(TemperatureLoss(logProb));
            var temperature = _temperature.Value(graph);
            _actorOptimiser.Minimise(ActorLoss(b, Actor.Sample(b.Observations, "actor"), temperature));
            CriticOptimiser.Minimise(CriticLoss(b, SoftTarget(b, temperature)));
        }
        else
        {
            var sample = Actor.Sample(b.Observations, "actor");
            var temperature = _temperature.Value(graph);
            var temperatureLoss = TemperatureLoss(sample.LogProb);
            var actorLoss = ActorLoss(b, sample, temperature);
            var criticLoss = CriticLoss(b, SoftTarget(b, temperature));
            _temperature.Minimise(temperatureLoss);
            _actorOptimiser.Minimise(actorLoss);
            CriticOptimiser.Minimise(criticLoss);
        }
        Report("temperature", _temperature.Value(graph));
        UpdateTargetCritics(graph);
    }

    private Tensor TemperatureLoss(Tensor logProb)
    {
        var loss = _temperature.Loss(logProb);
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

    private Tensor SoftTarget(Batch b, Tensor temperature)
    {
        var (nextAction, nextLogProb) = Actor.Sample(b.NextObservations, "target");
        return Target(b, TargetCritics.Q(b.NextObservations, nextAction).Min(0) - temperature * nextLogProb);
    }

    /// <inheritdoc/>
    protected override Tensor TemporalDifferenceLoss(Tensor q, Tensor target)
    {
        Report("q_std", (q - q.MeanKeep(0)).Square().Mean(0).Sqrt().Mean());
        return base.TemporalDifferenceLoss(q, target);
    }
}
