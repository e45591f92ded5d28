using Engine.Autodiff;

namespace Engine.Nn.Diffusion;

/// <summary>Sizes of a temporal U-Net and of the value network beside it.</summary>
/// <param name="Width">Of the first level and of the time's features; even.</param>
/// <param name="Multipliers">Of the width, level by level.</param>
/// <param name="Kernel">Positions that a block sees, odd.</param>
/// <param name="Groups">Of the normalisation.</param>
/// <param name="GroupNormEpsilon">Added to its variance.</param>
public sealed record TemporalUnetSettings(int Width, IReadOnlyList<int> Multipliers, int Kernel = 5, int Groups = 8, double GroupNormEpsilon = 1e-5)
{
    /// <summary>Between layers.</summary>
    public Func<Tensor, Tensor> Activation { get; init; } = Activations.Mish;

    internal int[] Channels => Multipliers.Select(m => m * Width).ToArray();
}

/// <summary>mish(norm0(conv0(x))) + time(mish(t)), then mish(norm1(conv1(.))), plus skip(x): [B, in, L] to [B, out, L].</summary>
internal sealed class TemporalBlock : Module
{
    private readonly Convolution1d _conv0, _conv1;
    private readonly GroupNormLayer _norm0, _norm1;
    private readonly LinearLayer _time;
    private readonly Convolution1d? _skip;
    private readonly Func<Tensor, Tensor> _activation;

    public TemporalBlock(Builder at, int inputs, int outputs, int timeSize, TemporalUnetSettings settings)
    {
        _activation = settings.Activation;
        _conv0 = new Convolution1d(at["conv0"], inputs, outputs, settings.Kernel, pad: settings.Kernel / 2);
        _norm0 = new GroupNormLayer(at["norm0"], outputs, settings.Groups, settings.GroupNormEpsilon);
        _conv1 = new Convolution1d(at["conv1"], outputs, outputs, settings.Kernel, pad: settings.Kernel / 2);
        _norm1 = new GroupNormLayer(at["norm1"], outputs, settings.Groups, settings.GroupNormEpsilon);
        _time = new LinearLayer(at["time"], timeSize, outputs, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        _skip = inputs == outputs ? null : new Convolution1d(at["skip"], inputs, outputs, 1);
    }

    public override IEnumerable<Variable> Parameters => new Module?[] { _conv0, _norm0, _conv1, _norm1, _time, _skip }.Where(m => m is not null).SelectMany(m => m!.Parameters);

    /// <param name="x">[B, in, L]</param>
    /// <param name="time">After the activation: [B, d], or [1, d] for all rows.</param>
    public Tensor Apply(Tensor x, Tensor time)
    {
        var h = _activation(_norm0.Apply(_conv0.Apply(x))) + _time.Apply(time).Expand(-1);
        return _activation(_norm1.Apply(_conv1.Apply(h))) + (_skip?.Apply(x) ?? x);
    }
}

/// <summary>
/// The temporal U-Net of Janner et al. 2022 ("Planning with Diffusion for Flexible Behavior Synthesis"; reference: jannerm/diffuser temporal.py) on trajectories [B, H, D]: convolutions along time. Levels <c>down0</c>, ... of two blocks, each but the last
/// half as long as the one before (<c>resample</c>); <c>mid</c>; levels <c>up0</c>, ..., which also see what the level of their length left; <c>head</c>. What the first level left is not used, as in the reference.
/// </summary>
public sealed class TemporalUnet : Denoiser
{
    private readonly TemporalUnetSettings _settings;
    private readonly TimeLayers _time;
    private readonly List<(TemporalBlock First, TemporalBlock Second, Convolution1d? Resample)> _down = [];
    private readonly List<(TemporalBlock First, TemporalBlock Second, TransposedConvolution1d Resample)> _up = [];
    private readonly (TemporalBlock First, TemporalBlock Second) _mid;
    private readonly Convolution1d _headConvolution, _headOutput;
    private readonly GroupNormLayer _headNorm;

    /// <summary>Creates the layers.</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">D.</param>
    /// <param name="horizon">H.</param>
    /// <param name="settings">Sizes.</param>
    /// <exception cref="ArgumentException">The levels' strides do not divide the horizon, or the groups the channels.</exception>
    public TemporalUnet(Builder at, int size, int horizon, TemporalUnetSettings settings)
    {
        _settings = settings;
        int[] channels = settings.Channels;
        int levels = channels.Length, halvings = 1 << (levels - 1);
        if (horizon < 1 || horizon % halvings != 0) throw new ArgumentException($"a horizon of {horizon} is not divided by {halvings}: {levels} levels halve it {levels - 1} times");
        int width = settings.Width;
        _time = new TimeLayers(at["time"]["layer0"], at["time"]["layer1"], (width, 4 * width, width), settings.Activation, Initialisation.PyTorch);
        TemporalBlock Block(Builder place, int inputs, int outputs) => new(place, inputs, outputs, width, settings);
        for (int i = 0; i < levels; i++)
        {
            var level = at[$"down{i}"];
            _down.Add((Block(level["block0"], i == 0 ? size : channels[i - 1], channels[i]), Block(level["block1"], channels[i], channels[i]), i == levels - 1 ? null : new Convolution1d(level["resample"], channels[i], channels[i], 3, 2, 1)));
        }
        _mid = (Block(at["mid"]["block0"], channels[^1], channels[^1]), Block(at["mid"]["block1"], channels[^1], channels[^1]));
        for (int i = 0; i < levels - 1; i++)
        {
            var level = at[$"up{i}"];
            int from = channels[levels - 1 - i], to = channels[levels - 2 - i];
            _up.Add((Block(level["block0"], 2 * from, to), Block(level["block1"], to, to), new TransposedConvolution1d(level["resample"], to, to, 4, 2, 1)));
        }
        _headConvolution = new Convolution1d(at["head"]["conv0"], channels[0], width, settings.Kernel, pad: settings.Kernel / 2);
        _headNorm = new GroupNormLayer(at["head"]["norm0"], width, settings.Groups, settings.GroupNormEpsilon);
        _headOutput = new Convolution1d(at["head"]["output"], width, size, 1);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => new Module[] { _time }.Concat(_down.SelectMany(l => new Module?[] { l.First, l.Second, l.Resample })).Concat([_mid.First, _mid.Second])
        .Concat(_up.SelectMany(l => new Module[] { l.First, l.Second, l.Resample })).Concat([_headConvolution, _headNorm, _headOutput]).Where(m => m is not null).SelectMany(m => m!.Parameters);

    /// <inheritdoc/>
    public override Tensor Embed(DiffusionTimes times) => _time.Apply(Sinusoidal.Features(times, _settings.Width, SinusoidalLayout.SinesFirst));

    /// <summary>The output for trajectories [B, H, D].</summary>
    /// <param name="x">[B, H, D]</param>
    /// <param name="time">[B, width], or [1, width] for all rows.</param>
    /// <param name="condition">None.</param>
    /// <param name="training">No matter.</param>
    public override Tensor Apply(Tensor x, Tensor time, Tensor? condition, bool training = false)
    {
        var h = x.Permute(0, 2, 1);
        var t = _settings.Activation(time);
        var left = new Stack<Tensor>();
        foreach (var (first, second, resample) in _down)
        {
            h = second.Apply(first.Apply(h, t), t);
            left.Push(h);
            if (resample is not null) h = resample.Apply(h);
        }
        h = _mid.Second.Apply(_mid.First.Apply(h, t), t);
        foreach (var (first, second, resample) in _up) h = resample.Apply(second.Apply(first.Apply(Tensor.Concat(1, h, left.Pop()), t), t));
        return _headOutput.Apply(_settings.Activation(_headNorm.Apply(_headConvolution.Apply(h)))).Permute(0, 2, 1);
    }

    /// <inheritdoc/>
    public override Func<Tensor, int, Tensor> At(Graph graph, IReadOnlyList<double> times, Tensor? condition)
    {
        var all = Embed(DiffusionTimes.Of(graph, times));
        return (x, k) => Apply(x, all.Slice(0, k, 1), condition);
    }
}

/// <summary>
/// The value of a noisy trajectory [B, H, D] (Janner et al. 2022; reference: ValueFunction of temporal.py): the U-Net's way down, every level halved; two blocks more, of half and a quarter of the channels, halved as well; two layers on what is left and the
/// time.
/// </summary>
public sealed class TemporalValue : Module
{
    private readonly TemporalUnetSettings _settings;
    private readonly TimeLayers _time;
    private readonly List<(TemporalBlock[] Blocks, Convolution1d Resample)> _levels = [];
    private readonly LinearLayer _hidden, _output;

    /// <summary>Creates the layers.</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">D.</param>
    /// <param name="horizon">H.</param>
    /// <param name="settings">Sizes.</param>
    public TemporalValue(Builder at, int size, int horizon, TemporalUnetSettings settings)
    {
        _settings = settings;
        int[] channels = settings.Channels;
        int width = settings.Width, length = horizon;
        _time = new TimeLayers(at["time"]["layer0"], at["time"]["layer1"], (width, 4 * width, width), settings.Activation, Initialisation.PyTorch);
        void Level(Builder place, int inputs, int outputs, int blocks)
        {
            _levels.Add((Enumerable.Range(0, blocks).Select(i => new TemporalBlock(place[$"block{i}"], i == 0 ? inputs : outputs, outputs, width, settings)).ToArray(), new Convolution1d(place["resample"], outputs, outputs, 3, 2, 1)));
            length = (length - 1) / 2 + 1;
        }
        for (int i = 0; i < channels.Length; i++) Level(at[$"down{i}"], i == 0 ? size : channels[i - 1], channels[i], 2);
        Level(at["mid0"], channels[^1], channels[^1] / 2, 1);
        Level(at["mid1"], channels[^1] / 2, channels[^1] / 4, 1);
        int left = channels[^1] / 4 * length;
        _hidden = new LinearLayer(at["layer0"], left + width, left / 2, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        _output = new LinearLayer(at["layer1"], left / 2, 1, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => new Module[] { _time }.Concat(_levels.SelectMany(l => l.Blocks.Append<Module>(l.Resample))).Concat([_hidden, _output]).SelectMany(m => m.Parameters);

    /// <summary>What the network sees of times: [B, width].</summary>
    public Tensor Embed(DiffusionTimes times) => _time.Apply(Sinusoidal.Features(times, _settings.Width, SinusoidalLayout.SinesFirst));

    /// <summary>Values [B].</summary>
    /// <param name="x">[B, H, D]</param>
    /// <param name="time">[B, width]</param>
    public Tensor Apply(Tensor x, Tensor time)
    {
        var h = x.Permute(0, 2, 1);
        var t = _settings.Activation(time);
        foreach (var (blocks, resample) in _levels) h = resample.Apply(blocks.Aggregate(h, (y, block) => block.Apply(y, t)));
        return _output.Apply(_settings.Activation(_hidden.Apply(Tensor.Concat(-1, h.Reshape(h.Shape[0], -1), time)))).Squeeze(-1);
    }
}
