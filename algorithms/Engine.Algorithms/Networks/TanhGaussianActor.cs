using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>Looks of a <see cref="TanhGaussianActor"/>.</summary>
public sealed record TanhGaussianSettings
{
    /// <summary>The hidden layers.</summary>
    public required MlpSettings Trunk { get; init; }

    /// <summary>Mean and log standard deviation are networks of their own, each with such hidden layers and with the last layer that the trunk's initialisation states; else two output layers on one trunk.</summary>
    public bool SeparateNetworks { get; init; }

    /// <summary>The mean is clipped to ± this; null: not.</summary>
    public double? MeanClip { get; init; }

    /// <summary>How the weights of the output layers begin.</summary>
    public Initialiser Head { get; init; } = Initialiser.UniformFanIn;

    /// <summary>How their biases begin; null: as the weights.</summary>
    public Initialiser? HeadBias { get; init; }

    /// <summary>The log standard deviation is clipped to this.</summary>
    public (double Low, double High) LogStd { get; init; } = (-20, 2);

    /// <summary>It is brought into that range by tanh, low + (high - low) (tanh(output) + 1) / 2, and not clipped.</summary>
    public bool SquashLogStd { get; init; }

    /// <summary>The log standard deviation is a learned multiple of its output plus a learned offset (CQL); null: it is the output.</summary>
    public (double Multiplier, double Offset)? LogStdScale { get; init; }

    /// <summary>Inside the logarithm of the tanh correction; null: the stable form without one.</summary>
    public double? LogProbEpsilon { get; init; }

    /// <summary>Actions lie within ± this.</summary>
    public double MaxAction { get; init; } = 1;
}

/// <summary>The policy of the SAC family: a trunk, two heads, tanh of a Gaussian.</summary>
public sealed class TanhGaussianActor : Module
{
    private readonly Module[] _networks;
    private readonly Func<Tensor, (Tensor Mean, Tensor LogStd)> _heads;
    private readonly Variable? _multiplier, _offset;
    private readonly TanhGaussianSettings _settings;
    private readonly int _actionSize;

    /// <summary>Creates <c>layer0...</c>, <c>mean</c>, <c>log_std</c>, or the networks <c>mean.layer0...</c>, <c>log_std.layer0...</c>, and, where it is scaled, <c>log_std_multiplier</c> and <c>log_std_offset</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">Size of the input.</param>
    /// <param name="actionSize">A.</param>
    /// <param name="settings">Layers and ranges.</param>
    public TanhGaussianActor(Builder at, int inputs, int actionSize, TanhGaussianSettings settings)
    {
        (_settings, _actionSize) = (settings, actionSize);
        if (settings.SeparateNetworks)
        {
            Mlp mean = new(at["mean"], inputs, actionSize, settings.Trunk), logStd = new(at["log_std"], inputs, actionSize, settings.Trunk);
            (_networks, _heads) = ([mean, logStd], x => (mean.Apply(x), logStd.Apply(x)));
        }
        else
        {
            var trunk = new Mlp(at, inputs, null, settings.Trunk);
            var bias = settings.HeadBias ?? settings.Head;
            LinearLayer mean = new(at["mean"], trunk.Outputs, actionSize, settings.Head, bias), logStd = new(at["log_std"], trunk.Outputs, actionSize, settings.Head, bias);
            (_networks, _heads) = ([trunk, mean, logStd], x =>
            {
                var h = trunk.Apply(x);
                return (mean.Apply(h), logStd.Apply(h));
            }
            );
        }
        if (settings.LogStdScale is not { } scale) return;
        _multiplier = at.Parameter("log_std_multiplier", [1], Initialiser.Constant(scale.Multiplier), 1, 1);
        _offset = at.Parameter("log_std_offset", [1], Initialiser.Constant(scale.Offset), 1, 1);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _networks.SelectMany(n => n.Parameters), .. _multiplier is null ? Array.Empty<Variable>() : [_multiplier, _offset!]];

    /// <summary>The distribution at observations [..., S], before the action's bound.</summary>
    public TanhGaussian At(Tensor observations)
    {
        var (mean, logStd) = _heads(observations);
        if (_multiplier is not null) logStd = logStd * logStd.Graph.Read(_multiplier) + logStd.Graph.Read(_offset!);
        var (low, high) = _settings.LogStd;
        return new TanhGaussian(Clipped(mean), _settings.SquashLogStd ? (logStd.Tanh() + 1) * (0.5 * (high - low)) + low : logStd.Clip(low, high), _settings.LogProbEpsilon);
    }

    /// <summary>An action [B, A] at observations [B, S] and its log density [B], from the draw of that name.</summary>
    public (Tensor Action, Tensor LogProb) Sample(Tensor observations, string draw) => Sample(At(observations), observations.Graph.Random.Normal(draw, [observations.Shape[0], _actionSize]));

    /// <summary>An action of a distribution from noise, within the bound, and its log density.</summary>
    public (Tensor Action, Tensor LogProb) Sample(TanhGaussian policy, Tensor noise)
    {
        var (action, logProb) = policy.Sample(noise);
        return (Scale(action), logProb);
    }

    /// <summary>Several actions [B, n, A] a row of a distribution over [B, A], and their log densities [B, n].</summary>
    /// <param name="policy">The distribution.</param>
    /// <param name="noise">[B, n, A]</param>
    public (Tensor Actions, Tensor LogProb) SampleSeveral(TanhGaussian policy, Tensor noise) => Sample(new TanhGaussian(policy.Mean.Expand(1), policy.LogStd.Expand(1), policy.LogProbEpsilon), noise);

    /// <summary>The deterministic action.</summary>
    public Tensor Mode(Tensor observations) => Scale(Clipped(_heads(observations).Mean).Tanh());

    /// <summary>The policy's action: its mode, or a draw.</summary>
    /// <param name="a">How to act.</param>
    /// <param name="inputs">What the network sees; null: the observations.</param>
    public Tensor Act(Policies.Acting a, Tensor? inputs = null) => a.Mode == Policies.Mode.Deterministic ? Mode(inputs ?? a.Observations) : Sample(At(inputs ?? a.Observations), a.Normal("action", _actionSize)).Action;

    private Tensor Clipped(Tensor mean) => _settings.MeanClip is { } bound ? mean.Clip(-bound, bound) : mean;

    private Tensor Scale(Tensor action) => _settings.MaxAction == 1 ? action : action * _settings.MaxAction;
}
