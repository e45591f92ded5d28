using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>A deterministic policy: tanh of an MLP's output, times a bound.</summary>
public sealed class DeterministicActor : Module
{
    private readonly Mlp _mlp;
    private readonly double _maxAction;

    /// <summary>Creates <c>layer0...</c>.</summary>
    public DeterministicActor(Builder at, int observationSize, int actionSize, ContinuousSettings settings) : this(at, observationSize, actionSize, settings.Network(), settings.MaxAction) { }

    /// <summary>Creates <c>layer0...</c> (and <c>norm0...</c>) of other layers than the settings'.</summary>
    public DeterministicActor(Builder at, int observationSize, int actionSize, MlpSettings network, double maxAction) =>
        (_mlp, _maxAction) = (new Mlp(at, observationSize, actionSize, network), maxAction);

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _mlp.Parameters;

    /// <summary>Actions [B, A] within ±max_action.</summary>
    public Tensor Act(Tensor observations)
    {
        var action = _mlp.Apply(observations).Tanh();
        return _maxAction == 1 ? action : action * _maxAction;
    }
}

/// <summary>A Gaussian policy whose standard deviation is a parameter, the same at every observation.</summary>
public sealed class GaussianActor : Module
{
    private readonly Mlp _trunk;
    private readonly LinearLayer _mean;
    private readonly Variable _logStd;
    private readonly (double Low, double High) _logStdRange;
    private readonly bool _squashMean;

    /// <summary>Creates <c>layer0...</c>, <c>mean</c> and <c>log_std</c> [A], which begins at 0.</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actionSize">A.</param>
    /// <param name="settings">Hidden layers.</param>
    /// <param name="logStdRange">The log standard deviation is clipped to this.</param>
    /// <param name="squashMean">The mean is tanh of the output layer (IQL), else the output itself (AWAC).</param>
    public GaussianActor(Builder at, int observationSize, int actionSize, VectorSettings settings, (double Low, double High) logStdRange, bool squashMean)
    {
        (_logStdRange, _squashMean) = (logStdRange, squashMean);
        _trunk = new Mlp(at, observationSize, null, settings.Network());
        _mean = new LinearLayer(at["mean"], _trunk.Outputs, actionSize, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        _logStd = at.Parameter("log_std", [actionSize], Initialiser.Constant(0), actionSize, actionSize);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _trunk.Parameters, .. _mean.Parameters, _logStd];

    /// <summary>The mean [B, A].</summary>
    public Tensor Mean(Tensor observations) => Head(_trunk.Apply(observations));

    /// <summary>The distribution at observations [B, S].</summary>
    /// <param name="observations">[B, S]</param>
    /// <param name="dropout">Share of the hidden units that is dropped while training.</param>
    public Gaussian At(Tensor observations, double dropout = 0) =>
        new(Head(_trunk.Apply(observations, dropout)), observations.Graph.Read(_logStd).Clip(_logStdRange.Low, _logStdRange.High));

    private Tensor Head(Tensor hidden) => _squashMean ? _mean.Apply(hidden).Tanh() : _mean.Apply(hidden);
}
