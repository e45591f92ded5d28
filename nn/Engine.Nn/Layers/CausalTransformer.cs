using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>Sizes of a transformer.</summary>
/// <param name="Width">D, numbers of a token; divisible by the heads.</param>
/// <param name="Layers">Blocks, at least 1.</param>
/// <param name="Heads">Heads of attention, at least 1.</param>
/// <param name="LayerNormEpsilon">Of all norms.</param>
public sealed record TransformerSettings(int Width, int Layers, int Heads, double LayerNormEpsilon = 1e-5);

/// <summary>
/// An ensemble of causal transformers (Vaswani et al. 2017; norms first, as Radford et al. 2019): each token sees itself and those before it. Blocks <c>block0...</c> of x + output(attention(norm0 x)), then x + layer1(gelu(layer0(norm1 x))), the
/// inner width 4 D; and a last <c>norm</c>. Every member has parameters of its own.
/// </summary>
public sealed class CausalTransformer : Module
{
    // Far below any score: its exponential is 0.
    private const double Hidden = -1e9;

    private readonly Block[] _blocks;
    private readonly LayerNormLayer _norm;
    private readonly TransformerSettings _settings;
    private readonly int _members;

    /// <summary>Creates the blocks.</summary>
    /// <param name="at">Where.</param>
    /// <param name="members">Transformers in the ensemble.</param>
    /// <param name="settings">Sizes.</param>
    /// <exception cref="ArgumentException">The width cannot be divided among the heads.</exception>
    public CausalTransformer(Builder at, int members, TransformerSettings settings)
    {
        if (settings.Width % settings.Heads != 0) throw new ArgumentException($"a width of {settings.Width} cannot be divided among {settings.Heads} heads");
        (_members, _settings) = (members, settings);
        _blocks = Enumerable.Range(0, settings.Layers).Select(i => new Block(at[$"block{i}"], members, settings)).ToArray();
        _norm = new LayerNormLayer(at["norm"], settings.Width, settings.LayerNormEpsilon, members);
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _blocks.SelectMany(b => b.Parameters), .. _norm.Parameters];

    /// <summary>Tokens [members, B, T, D], of which each knows those before it, to the same.</summary>
    public Tensor Apply(Tensor tokens)
    {
        int rows = tokens.Shape[1], length = tokens.Shape[2];
        var mask = tokens.Graph.Constant(TensorType.Float([length, length]), [.. Enumerable.Range(0, length * length).Select(i => i % length > i / length ? Hidden : 0)]);
        var x = tokens.Reshape(_members, rows * length, _settings.Width);
        foreach (var block in _blocks) x = block.Apply(x, length, mask, _settings);
        return _norm.Apply(x).Reshape(tokens.Shape);
    }

    private sealed class Block : Module
    {
        private readonly LayerNormLayer _norm0, _norm1;
        private readonly Variable _queryKeyValue;
        private readonly LinearLayer _output, _layer0, _layer1;

        public Block(Builder at, int members, TransformerSettings settings)
        {
            int width = settings.Width;
            LayerNormLayer Norm(string name) => new(at[name], width, settings.LayerNormEpsilon, members);
            LinearLayer Layer(string name, int inputs, int outputs) => new(at[name], members, inputs, outputs, Initialiser.GlorotUniform, Initialiser.Constant(0));
            (_norm0, _norm1) = (Norm("norm0"), Norm("norm1"));
            // Without biases: that of keys would change nothing.
            (_queryKeyValue, _output) = (at["query_key_value"].EnsembleParameter("weight", members, [width, 3 * width], Initialiser.GlorotUniform, width, 3 * width), Layer("output", width, width));
            (_layer0, _layer1) = (Layer("layer0", width, 4 * width), Layer("layer1", 4 * width, width));
        }

        public override IEnumerable<Variable> Parameters => [_queryKeyValue, .. new Module[] { _norm0, _output, _norm1, _layer0, _layer1 }.SelectMany(m => m.Parameters)];

        /// <summary>x [members, B T, D].</summary>
        public Tensor Apply(Tensor x, int length, Tensor mask, TransformerSettings settings)
        {
            x += _output.Apply(Attention(_norm0.Apply(x).MatMul(x.Graph.Read(_queryKeyValue)), length, mask, settings));
            return x + _layer1.Apply(Activations.GeluTanh(_layer0.Apply(_norm1.Apply(x))));
        }

        private static Tensor Attention(Tensor queryKeyValue, int length, Tensor mask, TransformerSettings settings)
        {
            int width = settings.Width, size = width / settings.Heads;
            // Heads are contiguous slices: [members B, heads, T, size].
            Tensor Part(int i) => queryKeyValue.Slice(-1, i * width, width).Reshape(-1, length, settings.Heads, size).Permute(0, 2, 1, 3);
            var scores = Part(0).MatMul(Part(1), transposeOther: true) * (1 / Math.Sqrt(size)) + mask;
            return scores.Softmax().MatMul(Part(2)).Permute(0, 2, 1, 3).Reshape(queryKeyValue.Shape.With(-1, width));
        }
    }
}
