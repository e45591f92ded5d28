using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>Where a layer puts its variables: a state, a path that names them, and the seed of the initial values. Every tensor, and every member of an
/// ensemble, has a random stream of its own, so adding a layer changes no other layer's start.</summary>
/// <param name="State">Where the variables go.</param>
/// <param name="Seed">Seed of the initial values.</param>
/// <param name="Path">Names in front, without a trailing dot.</param>
public sealed record Builder(State State, ulong Seed, string Path = "")
{
    /// <summary>Makes what stands before the first layer of every MLP that is built here, of its place, inputs and members; null: nothing.</summary>
    public Func<Builder, int, int?, InputLayer>? Input { get; init; }

    /// <summary>The builder of a part.</summary>
    public Builder this[string name] => this with { Path = Join(name) };

    /// <summary>The full name of a variable here.</summary>
    public string Join(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    /// <summary>A parameter of one network.</summary>
    /// <param name="name">Its name under the path.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="initialiser">How its values begin.</param>
    /// <param name="fanIn">Inputs of the layer.</param>
    /// <param name="fanOut">Outputs of the layer.</param>
    public Variable Parameter(string name, Shape shape, Initialiser initialiser, int fanIn, int fanOut) =>
        EnsembleParameter(name, null, shape, initialiser, fanIn, fanOut);

    /// <summary>A parameter of an ensemble, [members, ...shape]; member i draws from the stream <c>name[i]</c>. Without members that of one network.</summary>
    public Variable EnsembleParameter(string name, int? members, Shape shape, Initialiser initialiser, int fanIn, int fanOut)
    {
        Shape whole = members is { } m ? shape.Insert(0, m) : shape;
        if (!State.Device.HoldsData) return State.AddZeros(Join(name), TensorType.Float(whole), VariableKind.Parameter);
        if (members is null) return State.Add(Join(name), whole, initialiser.Sample(shape, fanIn, fanOut, new PhiloxStream(Seed, Join(name))));
        var values = new List<float>();
        for (int i = 0; i < members; i++) values.AddRange(initialiser.Sample(shape, fanIn, fanOut, new PhiloxStream(Seed, $"{Join(name)}[{i}]")));
        return State.Add(Join(name), whole, values.ToArray());
    }
}

/// <summary>How a tensor's values begin.</summary>
public abstract record Initialiser
{
    /// <summary>Draws the values of one member.</summary>
    public abstract float[] Sample(Shape shape, int fanIn, int fanOut, PhiloxStream stream);

    /// <summary>One value everywhere.</summary>
    public static Initialiser Constant(double value) => new ConstantValue(value);

    /// <summary>Uniform in [-bound, bound).</summary>
    public static Initialiser Uniform(double bound) => new UniformBound((_, _) => bound);

    /// <summary>Uniform in ±1/sqrt(inputs): PyTorch's default for weights and biases of a linear layer.</summary>
    public static Initialiser UniformFanIn { get; } = new UniformBound((fanIn, _) => 1 / Math.Sqrt(fanIn));

    /// <summary>Uniform in ±1/sqrt(outputs): what a fan taken from an (in, out) slice amounts to in the ensemble codebases (docs/initialisers.md).</summary>
    public static Initialiser UniformFanOut { get; } = new UniformBound((_, fanOut) => 1 / Math.Sqrt(fanOut));

    /// <summary>Uniform in ±sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010).</summary>
    public static Initialiser GlorotUniform { get; } = new UniformBound((fanIn, fanOut) => Math.Sqrt(6.0 / (fanIn + fanOut)));

    /// <summary>Normal with a standard deviation.</summary>
    public static Initialiser Normal(double std) => new NormalStd(std);

    /// <summary>Normal cut at two standard deviations, with variance 1/inputs after the cut (LeCun et al. 1998; flax's default).</summary>
    public static Initialiser LecunNormal { get; } = new TruncatedNormal();

    /// <summary>Orthonormal rows or columns, times a gain (Saxe et al. 2014).</summary>
    public static Initialiser Orthogonal(double gain) => new OrthogonalGain(gain);

    private sealed record ConstantValue(double Value) : Initialiser
    {
        public override float[] Sample(Shape shape, int fanIn, int fanOut, PhiloxStream stream)
        {
            var values = new float[shape.Elements];
            Array.Fill(values, (float)Value);
            return values;
        }
    }

    private sealed record UniformBound(Func<int, int, double> Bound) : Initialiser
    {
        public override float[] Sample(Shape shape, int fanIn, int fanOut, PhiloxStream stream)
        {
            double bound = Bound(fanIn, fanOut);
            var values = new float[shape.Elements];
            for (int i = 0; i < values.Length; i++) values[i] = (float)stream.NextUniform(-bound, bound);
            return values;
        }
    }

    private sealed record NormalStd(double Std) : Initialiser
    {
        public override float[] Sample(Shape shape, int fanIn, int fanOut, PhiloxStream stream)
        {
            var values = new float[shape.Elements];
            for (int i = 0; i < values.Length; i++) values[i] = (float)(Std * stream.NextNormal());
            return values;
        }
    }

    private sealed record TruncatedNormal : Initialiser
    {
        // The standard deviation of a standard normal that is cut at ±2.
        private const double CutStd = 0.87962566103423978;

        public override float[] Sample(Shape shape, int fanIn, int fanOut, PhiloxStream stream)
        {
            var values = new float[shape.Elements];
            double std = 1 / Math.Sqrt(fanIn) / CutStd;
            for (int i = 0; i < values.Length; i++)
            {
                double z;
                do z = stream.NextNormal();
                while (Math.Abs(z) > 2);
                values[i] = (float)(std * z);
            }
            return values;
        }
    }

    private sealed record OrthogonalGain(double Gain) : Initialiser
    {
        public override float[] Sample(Shape shape, int fanIn, int fanOut, PhiloxStream stream)
        {
            if (shape.Rank != 2) throw new ShapeException($"an orthogonal start needs a matrix, not {shape}");
            int rows = Math.Min(shape[0], shape[1]), columns = Math.Max(shape[0], shape[1]);
            var basis = new double[rows][];
            for (int r = 0; r < rows; r++)
            {
                var v = basis[r] = new double[columns];
                for (int c = 0; c < columns; c++) v[c] = stream.NextNormal();
                // Gram-Schmidt twice: once leaves rounding errors of the size of the removed part.
                for (int pass = 0; pass < 2; pass++)
                    for (int q = 0; q < r; q++)
                    {
                        double dot = 0;
                        for (int c = 0; c < columns; c++) dot += v[c] * basis[q][c];
                        for (int c = 0; c < columns; c++) v[c] -= dot * basis[q][c];
                    }
                double norm = Math.Sqrt(v.Sum(x => x * x));
                for (int c = 0; c < columns; c++) v[c] /= norm;
            }
            var values = new float[shape.Elements];
            for (int i = 0; i < shape[0]; i++)
                for (int j = 0; j < shape[1]; j++)
                    values[i * shape[1] + j] = (float)(Gain * (shape[0] <= shape[1] ? basis[i][j] : basis[j][i]));
            return values;
        }
    }
}
