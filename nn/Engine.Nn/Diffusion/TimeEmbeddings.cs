using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn.Diffusion;

/// <summary>Times of rows: known numbers (those of a sampler: what follows from them is a constant of the graph), every row's step of a schedule, or any numbers.</summary>
public sealed class DiffusionTimes
{
    private readonly Graph _graph;
    private readonly double[] _numbers;
    private readonly Tensor? _rows, _values;

    private DiffusionTimes(Graph graph, double[] numbers, Tensor? rows, Tensor? values) => (_graph, _numbers, _rows, _values) = (graph, numbers, rows, values);

    /// <summary>Row k has the time of number k.</summary>
    public static DiffusionTimes Of(Graph graph, IReadOnlyList<double> times) => new(graph, times.ToArray(), null, null);

    /// <summary>Steps I32 [B], 0 to count - 1.</summary>
    public static DiffusionTimes OfSteps(Tensor steps, int count) => new(steps.Graph, Enumerable.Range(0, count).Select(i => (double)i).ToArray(), steps, null);

    /// <summary>Any numbers [B, 1].</summary>
    public static DiffusionTimes Of(Tensor times) => new(times.Graph, [], null, times);

    /// <summary>The graph.</summary>
    public Graph Graph => _graph;

    /// <summary>The times [B, 1].</summary>
    public Tensor Values => _values ?? Table(1, t => [t]);

    /// <summary>Of every row's time so many numbers, computed in double precision when the graph is traced: [B, size].</summary>
    /// <exception cref="NotSupportedException">The times are any numbers.</exception>
    public Tensor Table(int size, Func<double, double[]> numbers)
    {
        if (_values is not null) throw new NotSupportedException("a table needs times that are known when the graph is traced, or steps of a schedule");
        var table = _graph.Constant(TensorType.Float([_numbers.Length, size]), _numbers.SelectMany(numbers).ToArray());
        return _rows is null ? table : table.Gather(_rows);
    }
}

/// <summary>How sines and cosines of a time are laid out (Vaswani et al. 2017): frequencies exp(-i log(10000) / divisor), i = 0 ... size / 2 - 1.</summary>
public enum SinusoidalLayout
{
    /// <summary>Sines, then cosines; divisor size / 2 - 1 (Ho et al. 2020; Diffuser, Diffusion-QL).</summary>
    SinesFirst,
    /// <summary>Cosines, then sines; divisor size / 2 (guided diffusion; EDP).</summary>
    CosinesFirst,
}

/// <summary>Sinusoidal features of times, without parameters.</summary>
public static class Sinusoidal
{
    /// <summary>[B, size]</summary>
    /// <param name="times">Of the rows.</param>
    /// <param name="size">Even, at least 4.</param>
    /// <param name="layout">Order and divisor.</param>
    public static Tensor Features(DiffusionTimes times, int size, SinusoidalLayout layout)
    {
        if (size < 4 || size % 2 != 0) throw new ArgumentException($"a time embedding of {size} numbers: expected an even number of at least 4");
        int half = size / 2, divisor = layout == SinusoidalLayout.SinesFirst ? half - 1 : half;
        double[] Angles(double t) => Enumerable.Range(0, half).Select(i => t * Math.Exp(-i * Math.Log(10000) / divisor)).ToArray();
        return times.Table(size, t => Angles(t) is var angles && layout == SinusoidalLayout.SinesFirst ? [.. angles.Select(Math.Sin), .. angles.Select(Math.Cos)] : [.. angles.Select(Math.Cos), .. angles.Select(Math.Sin)]);
    }
}

/// <summary>Fourier features of times with frequencies w that are learned, or drawn once and kept: cosines and sines of 2 pi t w (Tancik et al. 2020).</summary>
public sealed class FourierFeatures : Module
{
    private readonly Variable _frequencies;
    private readonly bool _column;

    /// <summary>Learned ones, <c>frequencies</c> [size / 2, 1], which begin as normals of standard deviation 0.2 (IDQL).</summary>
    /// <param name="at">Where.</param>
    /// <param name="size">Numbers that come out, even.</param>
    public static FourierFeatures Learned(Builder at, int size) => new(at.Parameter("frequencies", [size / 2, 1], Initialiser.Normal(0.2), 1, size / 2), column: true);

    /// <summary>Kept ones, <c>frequencies</c> [count], drawn as standard normals (SynthER).</summary>
    /// <param name="at">Where.</param>
    /// <param name="count">Frequencies.</param>
    public static FourierFeatures Fixed(Builder at, int count) => new(at.Parameter("frequencies", [count], Initialiser.Normal(1), 1, count), column: false);

    private FourierFeatures(Variable frequencies, bool column) => (_frequencies, _column) = (frequencies, column);

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [_frequencies];

    /// <summary>Learned: [cos, sin], [B, size]. Kept: [t, sin, cos], [B, 1 + 2 count].</summary>
    public Tensor Apply(DiffusionTimes times)
    {
        var t = times.Values;
        var angles = t * t.Graph.Read(_frequencies).Reshape(1, -1) * (2 * Math.PI);
        return _column ? Tensor.Concat(-1, angles.Cos(), angles.Sin()) : Tensor.Concat(-1, t, angles.Sin(), angles.Cos());
    }
}

/// <summary>Two layers on a time's features, with an activation between them.</summary>
public sealed class TimeLayers : Module
{
    private readonly LinearLayer _first, _second;
    private readonly Func<Tensor, Tensor> _activation;

    /// <summary>Creates the layers.</summary>
    /// <param name="first">Where the first is.</param>
    /// <param name="second">Where the second is.</param>
    /// <param name="sizes">Of features, hidden, output.</param>
    /// <param name="activation">Between them.</param>
    /// <param name="init">How they begin.</param>
    public TimeLayers(Builder first, Builder second, (int Inputs, int Hidden, int Outputs) sizes, Func<Tensor, Tensor> activation, Initialisation init)
    {
        _first = new LinearLayer(first, sizes.Inputs, sizes.Hidden, init.HiddenWeight, init.HiddenBias);
        _second = new LinearLayer(second, sizes.Hidden, sizes.Outputs, init.OutputWeight, init.OutputBias);
        _activation = activation;
    }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _first.Parameters, .. _second.Parameters];

    /// <summary>[B, inputs] to [B, outputs].</summary>
    public Tensor Apply(Tensor features) => _second.Apply(_activation(_first.Apply(features)));
}
