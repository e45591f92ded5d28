using Engine.Autodiff;

namespace Engine.Nn.Diffusion;

/// <summary>A network on a state, a time and a condition.</summary>
public abstract class Denoiser : Module
{
    /// <summary>What the network sees of times: [B, d].</summary>
    public abstract Tensor Embed(DiffusionTimes times);

    /// <summary>The output for states, of their shape.</summary>
    /// <param name="x">[B, n]</param>
    /// <param name="time">As of <see cref="Embed"/> [B, d].</param>
    /// <param name="condition">[B, c]; null where the network has none.</param>
    /// <param name="training">With dropout, where the network has it.</param>
    public abstract Tensor Apply(Tensor x, Tensor time, Tensor? condition, bool training = false);

    /// <summary>The output for states at times that are the same for all rows, those of a sampler: the embeddings of all times are computed at once, before the first step.</summary>
    /// <param name="graph">Where it is traced.</param>
    /// <param name="times">As the network sees them.</param>
    /// <param name="condition">[B, c]; null where the network has none.</param>
    public virtual Func<Tensor, int, Tensor> At(Graph graph, IReadOnlyList<double> times, Tensor? condition)
    {
        var all = Embed(DiffusionTimes.Of(graph, times));
        return (x, k) => Apply(x, all.Slice(0, k, 1).BroadcastTo([x.Shape[0], all.Shape[1]]), condition);
    }
}

/// <summary>In which order a first layer takes its inputs.</summary>
public enum DenoiserInputs
{
    /// <summary>State, time, condition (Diffusion-QL).</summary>
    StateTimeCondition,
    /// <summary>Condition, state, time (EDP).</summary>
    ConditionStateTime,
    /// <summary>State, condition, time (IDQL).</summary>
    StateConditionTime,
}

/// <summary>A network whose first layer takes state, time and condition side by side. Within a sampler the parts of time and condition, which no step changes, are computed once.</summary>
public abstract class ConditionedDenoiser : Denoiser
{
    /// <summary>The first layer.</summary>
    protected abstract LinearLayer First { get; }

    /// <summary>The order of its inputs.</summary>
    protected abstract DenoiserInputs Order { get; }

    /// <summary>The network from the first layer's result on.</summary>
    /// <param name="first">[B, width]</param>
    /// <param name="training">With dropout, where the network has it.</param>
    protected abstract Tensor Rest(Tensor first, bool training);

    /// <inheritdoc/>
    public override Tensor Apply(Tensor x, Tensor time, Tensor? condition, bool training = false) => Rest(First.Apply(Order switch
    {
        DenoiserInputs.StateTimeCondition => Tensor.Concat(-1, x, time, condition!),
        DenoiserInputs.ConditionStateTime => Tensor.Concat(-1, condition!, x, time),
        _ => Tensor.Concat(-1, x, condition!, time),
    }), training);

    /// <inheritdoc/>
    public override Func<Tensor, int, Tensor> At(Graph graph, IReadOnlyList<double> times, Tensor? condition)
    {
        var all = Embed(DiffusionTimes.Of(graph, times));
        int c = condition!.Shape[^1], t = all.Shape[1], inputs = First.Weight.Type.Shape[0], n = inputs - c - t;
        var (ofState, ofTime, ofCondition) = Order switch
        {
            DenoiserInputs.StateTimeCondition => (0, n, n + t),
            DenoiserInputs.ConditionStateTime => (c, c + n, 0),
            _ => (0, n + c, n),
        };
        var fixedPart = First.ApplyPart(condition, ofCondition, bias: true);
        var timePart = First.ApplyPart(all, ofTime, bias: false);
        return (x, k) => Rest(First.ApplyPart(x, ofState, bias: false) + fixedPart + timePart.Slice(0, k, 1), training: false);
    }
}

/// <summary>
/// The noise model of Wang et al. 2023 ("Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning"): sinusoidal features of the time through <c>time0</c> (twice as wide), mish, <c>time1</c>; then an MLP <c>layer0...</c> on state, time
/// and condition.
/// </summary>
public sealed class MlpDenoiser : ConditionedDenoiser
{
    private readonly TimeLayers _time;
    private readonly Mlp _mlp;
    private readonly DenoiserInputs _inputs;
    private readonly int _timeSize;

    /// <summary>Creates <c>time0</c>, <c>time1</c>, <c>layer0...</c> (and <c>norm0...</c>).</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">n of the state.</param>
    /// <param name="conditionSize">c.</param>
    /// <param name="timeSize">Features of the time.</param>
    /// <param name="network">Hidden layers.</param>
    /// <param name="inputs">Their order, and with it the layout of the features.</param>
    public MlpDenoiser(Builder at, int size, int conditionSize, int timeSize, MlpSettings network, DenoiserInputs inputs)
    {
        (_inputs, _timeSize) = (inputs, timeSize);
        _time = new TimeLayers(at["time0"], at["time1"], (timeSize, 2 * timeSize, timeSize), Activations.Mish, network.Initialisation);
        _mlp = new Mlp(at, size + timeSize + conditionSize, size, network);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _time.Parameters, .. _mlp.Parameters];

    /// <inheritdoc/>
    public override Tensor Embed(DiffusionTimes times) => _time.Apply(Sinusoidal.Features(times, _timeSize, _inputs == DenoiserInputs.StateTimeCondition ? SinusoidalLayout.SinesFirst : SinusoidalLayout.CosinesFirst));

    /// <inheritdoc/>
    protected override LinearLayer First => _mlp.First;

    /// <inheritdoc/>
    protected override DenoiserInputs Order => _inputs;

    /// <inheritdoc/>
    protected override Tensor Rest(Tensor first, bool training) => _mlp.ApplyAfterFirst(first);
}

/// <summary>Sizes of a <see cref="LayerNormResNet"/>.</summary>
/// <param name="Blocks">Residual blocks.</param>
/// <param name="Width">Of the rows between them; four times that inside.</param>
/// <param name="TimeSize">Features of the time, even.</param>
/// <param name="LayerNormEpsilon">Of the blocks' normalisation.</param>
/// <param name="Dropout">Share of a block's input that is set to 0 while training.</param>
public sealed record LayerNormResNetSettings(int Blocks = 3, int Width = 256, int TimeSize = 64, double LayerNormEpsilon = 1e-6, double Dropout = 0);

/// <summary>
/// The noise model of Hansen-Estruch et al. 2023 (IDQL): learned Fourier features of the time, <c>time.layer0</c>, swish, <c>time.layer1</c>; <c>input</c> on state, condition and that; blocks x + layer1(swish(layer0(norm0(x)))); <c>output</c> of swish.
/// </summary>
public sealed class LayerNormResNet : ConditionedDenoiser
{
    private readonly FourierFeatures _frequencies;
    private readonly TimeLayers _time;
    private readonly LinearLayer _input, _output;
    private readonly (LayerNormLayer Norm, LinearLayer First, LinearLayer Second)[] _blocks;
    private readonly LayerNormResNetSettings _settings;

    /// <summary>Creates the layers, as flax begins them.</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">n of the state.</param>
    /// <param name="conditionSize">c.</param>
    /// <param name="settings">Sizes.</param>
    public LayerNormResNet(Builder at, int size, int conditionSize, LayerNormResNetSettings settings)
    {
        _settings = settings;
        LinearLayer Layer(Builder place, int inputs, int outputs) => new(place, inputs, outputs, Initialiser.GlorotUniform, Initialiser.Constant(0));
        int time = 2 * settings.TimeSize, width = settings.Width;
        _frequencies = FourierFeatures.Learned(at["time"], settings.TimeSize);
        _time = new TimeLayers(at["time"]["layer0"], at["time"]["layer1"], (settings.TimeSize, time, time), Activations.Silu, Initialisation.Glorot);
        _input = Layer(at["input"], size + conditionSize + time, width);
        _blocks = Enumerable.Range(0, settings.Blocks).Select(i => at[$"block{i}"]).Select(block =>
            (new LayerNormLayer(block["norm0"], width, settings.LayerNormEpsilon), Layer(block["layer0"], width, 4 * width), Layer(block["layer1"], 4 * width, width))).ToArray();
        _output = Layer(at["output"], width, size);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => new Module[] { _frequencies, _time, _input }.Concat(_blocks.SelectMany(b => new Module[] { b.Norm, b.First, b.Second })).Append(_output).SelectMany(m => m.Parameters);

    /// <inheritdoc/>
    public override Tensor Embed(DiffusionTimes times) => _time.Apply(_frequencies.Apply(times));

    /// <inheritdoc/>
    protected override LinearLayer First => _input;

    /// <inheritdoc/>
    protected override DenoiserInputs Order => DenoiserInputs.StateConditionTime;

    /// <inheritdoc/>
    protected override Tensor Rest(Tensor first, bool training)
    {
        var h = first;
        foreach (var (norm, widen, narrow) in _blocks)
        {
            var inside = h;
            if (training && _settings.Dropout > 0)
            {
                var kept = h.Graph.Random.Uniform($"dropout.{widen.Weight.Name}", h.Shape) >= _settings.Dropout;
                inside = Tensor.Select(kept, h * (1 / (1 - _settings.Dropout)), h.Graph.Constant(0));
            }
            h = h + narrow.Apply(Activations.Silu(widen.Apply(norm.Apply(inside))));
        }
        return _output.Apply(Activations.Silu(h));
    }
}

/// <summary>Sizes of a <see cref="ResidualMlp"/>.</summary>
/// <param name="InputWidth">Of the rows that state and time are added in.</param>
/// <param name="Width">Of the blocks.</param>
/// <param name="Blocks">Residual blocks.</param>
/// <param name="FourierCount">Frequencies of the time.</param>
public sealed record ResidualMlpSettings(int InputWidth = 128, int Width = 2048, int Blocks = 6, int FourierCount = 8)
{
    /// <summary>Before each block and the output.</summary>
    public Func<Tensor, Tensor> Activation { get; init; } = Activations.Relu;
}

/// <summary>
/// The network of Lu et al. 2023 ("Synthetic Experience Replay"): <c>input</c> of the state plus the time's Fourier features through <c>time.layer0</c>, swish, <c>time.layer1</c>; <c>widen</c>; blocks h + block(relu(h)); <c>output</c> of relu (or another activation). The frequencies,
/// <c>time.frequencies</c>, are drawn and kept. It has no condition.
/// </summary>
public sealed class ResidualMlp : Denoiser
{
    private readonly FourierFeatures _frequencies;
    private readonly TimeLayers _time;
    private readonly LinearLayer _input, _widen, _output;
    private readonly LinearLayer[] _blocks;
    private readonly Func<Tensor, Tensor> _activation;

    /// <summary>Creates the layers, as PyTorch begins them.</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">n of the state.</param>
    /// <param name="settings">Sizes.</param>
    /// <param name="like">Of a slow copy, the network that it is of, whose frequencies it has too; null: frequencies of its own.</param>
    public ResidualMlp(Builder at, int size, ResidualMlpSettings settings, ResidualMlp? like = null)
    {
        static LinearLayer Layer(Builder place, int inputs, int outputs) => new(place, inputs, outputs, Initialiser.UniformFanIn, Initialiser.UniformFanIn);
        _activation = settings.Activation;
        _frequencies = like?._frequencies ?? FourierFeatures.Fixed(at["time"], settings.FourierCount);
        _time = new TimeLayers(at["time"]["layer0"], at["time"]["layer1"], (1 + 2 * settings.FourierCount, settings.InputWidth, settings.InputWidth), Activations.Silu, Initialisation.PyTorch);
        _input = Layer(at["input"], size, settings.InputWidth);
        _widen = Layer(at["widen"], settings.InputWidth, settings.Width);
        _blocks = Enumerable.Range(0, settings.Blocks).Select(i => Layer(at[$"block{i}"], settings.Width, settings.Width)).ToArray();
        _output = Layer(at["output"], settings.Width, size);
    }

    /// <summary>What is trained; the frequencies are not.</summary>
    public override IEnumerable<Variable> Parameters => new Module[] { _time, _input, _widen }.Concat(_blocks).Append(_output).SelectMany(m => m.Parameters);

    /// <inheritdoc/>
    public override Tensor Embed(DiffusionTimes times) => _time.Apply(_frequencies.Apply(times));

    /// <inheritdoc/>
    public override Tensor Apply(Tensor x, Tensor time, Tensor? condition, bool training = false)
    {
        var h = _widen.Apply(_input.Apply(x) + time);
        foreach (var block in _blocks) h = h + block.Apply(_activation(h));
        return _output.Apply(_activation(h));
    }
}
