using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>Sizes and looks of a multi-layer perceptron.</summary>
public sealed record MlpSettings
{
    /// <summary>Width of each hidden layer.</summary>
    public int[] HiddenSizes { get; init; } = [256, 256];

    /// <summary>Applied after every hidden layer.</summary>
    public Func<Tensor, Tensor> Activation { get; init; } = Activations.Relu;

    /// <summary>How the layers begin.</summary>
    public Initialisation Initialisation { get; init; } = Initialisation.PyTorch;

    /// <summary>Layer normalisation after each hidden linear layer; null for none, else its epsilon.</summary>
    public double? LayerNormEpsilon { get; init; }

    /// <summary>It stands after the activation, not before.</summary>
    public bool LayerNormAfterActivation { get; init; }

    /// <summary>The first hidden layer is normalised and goes through tanh instead, as in DrQ-v2 (Yarats et al. 2021); null: it is as the others, else the normalisation's epsilon.</summary>
    public double? TanhNormEpsilon { get; init; }

    /// <summary>Members of an ensemble have scales and shifts of their own.</summary>
    public bool LayerNormPerMember { get; init; }
}

/// <summary>
/// Linear layers <c>layer0</c>, <c>layer1</c>, ... with an activation (and optionally <c>norm0</c>, ... before or after it) between them; the last is the output
/// layer, without activation. With members it is an ensemble: parameters [members, ...].
/// </summary>
public sealed class Mlp : Module
{
    private readonly List<LinearLayer> _layers = [];
    private readonly List<LayerNormLayer> _norms = [];
    private readonly MlpSettings _settings;
    private readonly bool _hasOutput;
    private readonly InputLayer? _input;

    /// <summary>Creates the layers.</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">Size of the input.</param>
    /// <param name="outputs">Size of the output; null for a trunk that ends with its last hidden layer.</param>
    /// <param name="settings">Hidden layers.</param>
    /// <param name="members">Networks in the ensemble; null for a single network.</param>
    public Mlp(Builder at, int inputs, int? outputs, MlpSettings settings, int? members = null)
    {
        _settings = settings;
        _hasOutput = outputs is not null;
        if (at.Input is { } input)
        {
            _input = input(at["input"] with { Input = null }, inputs, members);
            inputs = _input.Outputs;
        }
        var init = settings.Initialisation;
        foreach (int size in settings.HiddenSizes)
        {
            Add(size, init.HiddenWeight, init.HiddenBias);
            if (((_norms.Count == 0 ? settings.TanhNormEpsilon : null) ?? settings.LayerNormEpsilon) is { } epsilon) _norms.Add(new LayerNormLayer(at[$"norm{_norms.Count}"], size, epsilon, settings.LayerNormPerMember ? members : null));
            inputs = size;
        }
        if (outputs is { } final) Add(final, init.OutputWeight, init.OutputBias);
        Outputs = outputs ?? inputs;

        void Add(int size, Initialiser weight, Initialiser bias)
        {
            var place = at[$"layer{_layers.Count}"];
            _layers.Add(members is { } m ? new LinearLayer(place, m, inputs, size, weight, bias) : new LinearLayer(place, inputs, size, weight, bias));
        }
    }

    /// <summary>Size of the output.</summary>
    public int Outputs { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _layers.SelectMany(l => new[] { l.Weight, l.Bias }).Concat(_norms.SelectMany(n => new[] { n.Weight, n.Bias })).Concat(_input?.Parameters ?? []);

    /// <summary>x [batch, in] (an ensemble also takes [members, batch, in]) to [batch, out] or [members, batch, out].</summary>
    /// <param name="x">The input.</param>
    /// <param name="dropout">Share of every hidden layer's outputs that is set to 0 (Srivastava et al. 2014), the others divided by 1 - dropout; 0 when not training.</param>
    /// <param name="member">Of an ensemble this one alone, as a network of its own ([batch, out]); null for all.</param>
    public Tensor Apply(Tensor x, double dropout = 0, int? member = null) => Apply(_input?.Apply(x, member) ?? x, dropout, member, from: null);

    /// <summary>The first layer.</summary>
    public LinearLayer First => _input is null ? _layers[0] : throw new NotSupportedException("a network with an input layer has no first layer of its inputs");

    /// <summary>The network from the first layer's result [batch, hidden] on, before its normalisation and activation.</summary>
    public Tensor ApplyAfterFirst(Tensor first) => Apply(first, 0, null, from: first);

    private Tensor Apply(Tensor x, double dropout, int? member, Tensor? from)
    {
        int hidden = _settings.HiddenSizes.Length;
        // The fused layer knows relu; other activations follow it.
        bool norms = _settings.LayerNormEpsilon is not null, fused = (!norms || _settings.LayerNormAfterActivation) && _settings.Activation == Activations.Relu;
        for (int i = 0; i < hidden; i++)
        {
            bool known = i == 0 && from is not null;
            if (i == 0 && _settings.TanhNormEpsilon is not null) x = _norms[0].Apply(from ?? _layers[0].Apply(x, member: member), member).Tanh();
            else
            {
                if (!known) x = _layers[i].Apply(x, fused ? Activation.Relu : Activation.None, member);
                if (norms && !_settings.LayerNormAfterActivation) x = _norms[i].Apply(x, member);
                if (!fused || known) x = _settings.Activation(x);
                if (norms && _settings.LayerNormAfterActivation) x = _norms[i].Apply(x, member);
            }
            if (dropout > 0)
            {
                var kept = x.Graph.Random.Uniform($"dropout.{_layers[i].Weight.Name}", x.Shape) >= dropout;
                x = Tensor.Select(kept, x * (1 / (1 - dropout)), x.Graph.Constant(0));
            }
        }
        return _hasOutput ? _layers[hidden].Apply(x, member: member) : x;
    }
}

/// <summary>Activations, by their usual names.</summary>
public static class Activations
{
    /// <summary>max(x, 0)</summary>
    public static Func<Tensor, Tensor> Relu { get; } = x => x.Relu();

    /// <summary>tanh(x)</summary>
    public static Func<Tensor, Tensor> Tanh { get; } = x => x.Tanh();

    /// <summary>x sigmoid(x), also called swish (Elfwing et al. 2018).</summary>
    public static Func<Tensor, Tensor> Silu { get; } = x => x * x.Sigmoid();

    /// <summary>x tanh(softplus(x)) (Misra 2019).</summary>
    public static Func<Tensor, Tensor> Mish { get; } = x => x * x.Softplus().Tanh();

    /// <summary>x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016).</summary>
    public static Func<Tensor, Tensor> Gelu { get; } = x => x * ((x * Math.Sqrt(0.5)).Erf() + 1) * 0.5;

    /// <summary>The same with tanh in the place of erf: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.</summary>
    public static Func<Tensor, Tensor> GeluTanh { get; } = x => x * (((x + x * x.Square() * 0.044715) * Math.Sqrt(2 / Math.PI)).Tanh() + 1) * 0.5;

    /// <summary>x where x > 0, else e^x - 1 (Clevert et al. 2016).</summary>
    // The exponential sees only the negative part: a large x would overflow and poison the gradient of the branch not taken.
    public static Func<Tensor, Tensor> Elu { get; } = x => Tensor.Select(x > 0, x, (-((-x).Relu())).Expm1());

    /// <summary>x where x > 0, else 0.01 x.</summary>
    public static Func<Tensor, Tensor> LeakyRelu { get; } = x => Tensor.Select(x > 0, x, x * 0.01);

    private static readonly Dictionary<string, Func<Tensor, Tensor>> Names = new()
    {
        ["relu"] = Relu,
        ["tanh"] = Tanh,
        ["silu"] = Silu,
        ["swish"] = Silu,
        ["mish"] = Mish,
        ["gelu"] = Gelu,
        ["gelu_erf"] = Gelu,
        ["gelu_tanh"] = GeluTanh,
        ["elu"] = Elu,
        ["leaky_relu"] = LeakyRelu,
    };

    /// <summary>The activation of that name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static Func<Tensor, Tensor> Named(string name) =>
        Names.TryGetValue(name, out var activation) ? activation : throw new ArgumentException($"activation {name} is unknown; there are {string.Join(", ", Names.Keys)}");
}
