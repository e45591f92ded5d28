using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.QEnsembles;

/// <summary>The policy of the SAC family: a trunk, two heads, tanh of a Gaussian.</summary>
public sealed class TanhGaussianActor
{
    private readonly Mlp _trunk;
    private readonly LinearLayer _mean, _logStd;
    private readonly SacNSettings _settings;
    private readonly int _actionSize;

    /// <summary>Creates <c>layer0...</c>, <c>mean</c>, <c>log_std</c>.</summary>
    public TanhGaussianActor(Builder at, int observationSize, int actionSize, SacNSettings settings)
    {
        (_settings, _actionSize) = (settings, actionSize);
        var (hidden, head) = settings.Init switch
        {
            "authors" => (new Initialisation(Initialiser.UniformFanOut, Initialiser.Constant(0.1), Initialiser.Uniform(1e-3), Initialiser.Uniform(1e-3)), Initialiser.Uniform(1e-3)),
            "corl" => (new Initialisation(Initialiser.UniformFanIn, Initialiser.Constant(0.1), Initialiser.Uniform(1e-3), Initialiser.Uniform(1e-3)), Initialiser.Uniform(1e-3)),
            _ => (Initialisation.PyTorch, Initialiser.UniformFanIn),
        };
        _trunk = new Mlp(at, observationSize, null, new MlpSettings { HiddenSizes = settings.HiddenSizes, Activation = Activations.Named(settings.Activation), Initialisation = hidden });
        _mean = new LinearLayer(at["mean"], _trunk.Outputs, actionSize, head, head);
        _logStd = new LinearLayer(at["log_std"], _trunk.Outputs, actionSize, head, head);
    }

    /// <summary>All parameters.</summary>
    public IEnumerable<Variable> Parameters => [.. _trunk.Parameters, _mean.Weight, _mean.Bias, _logStd.Weight, _logStd.Bias];

    /// <summary>An action [B, A] at observations [B, S] and its log density [B], from the draw of that name.</summary>
    public (Tensor Action, Tensor LogProb) Sample(Tensor observations, string draw)
    {
        var h = _trunk.Apply(observations);
        var policy = new TanhGaussian(_mean.Apply(h), _logStd.Apply(h).Clip(_settings.LogStdMin, _settings.LogStdMax), _settings.LogProbEpsilon);
        var (action, logProb) = policy.Sample(observations.Graph.Random.Normal(draw, [observations.Shape[0], _actionSize]));
        return (Scale(action), logProb);
    }

    /// <summary>The deterministic action.</summary>
    public Tensor Mode(Tensor observations) => Scale(_mean.Apply(_trunk.Apply(observations)).Tanh());

    private Tensor Scale(Tensor action) => _settings.MaxAction == 1 ? action : action * _settings.MaxAction;
}
