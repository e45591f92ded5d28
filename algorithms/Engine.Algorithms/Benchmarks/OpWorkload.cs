using System.Globalization;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

namespace Engine.Algorithms.Benchmarks;

/// <summary>One op, or an ensemble of networks, on variables that are the same in every call: what fits in a cache stays there.</summary>
public sealed class OpWorkload : Workload
{
    private const string GemmForm = "MxKxN, or BxMxKxN for B products at once", MlpForm = "MEMBERSxBATCHxIN-HIDDEN-...-OUT", RowForm = "ROWSxCOLUMNS";
    private readonly Program _program;

    /// <summary>What can be timed: name, meaning, how a shape is written, and for elementwise work how many float32 tensors it reads and writes.</summary>
    public static IReadOnlyList<(string Name, string Description, string Form, int Tensors)> Kinds { get; } =
    [
        ("gemm", "matrix product", GemmForm, 0),
        ("mlp", "an ensemble of perceptrons, forward", MlpForm, 0),
        ("mlp-gradient", "an ensemble of perceptrons, forward and the gradient of all parameters", MlpForm, 0),
        ("add", "x + y", "elements", 3),
        ("chain", "max(x y + x, 0) / 2 - y, one kernel", "elements", 3),
        ("exp", "exp(x)", "elements", 2),
        ("tanh", "tanh(x)", "elements", 2),
        ("sum", "sum of x", "elements", 1),
        ("row-sum", "sum of every row of x", RowForm, 0),
        ("adam", "Adam's step: parameter, moments and gradient read, the first three written in place", "elements", 7),
        ("polyak", "a target network's step: both read, one written in place", "elements", 3),
    ];

    /// <summary>Traces and compiles the op.</summary>
    /// <param name="kind">A name of <see cref="Kinds"/>.</param>
    /// <param name="shape">As the kind's form says, such as 256x23x256, 10x256x23-256-256-1, 2560x256 or 4096.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="transposeA">Of a matrix product: the left factor is stored [K, M].</param>
    /// <param name="transposeB">The right factor is stored [N, K].</param>
    /// <exception cref="SettingsException">No such kind, or the shape is not one of it.</exception>
    public OpWorkload(string kind, string shape, Device device, bool transposeA = false, bool transposeB = false) : base(device)
    {
        string form = Find(kind).Form;
        var sizes = shape.Split('x').Select((part, at) => (form == MlpForm && at == 2 ? part.Split('-') : [part]).Select(Size).ToArray()).ToArray();
        bool good = sizes.All(s => s.All(n => n > 0)) && form switch { GemmForm => sizes.Length is 3 or 4, RowForm => sizes.Length == 2, MlpForm => sizes.Length == 3 && sizes[2].Length >= 3, _ => sizes.Length == 1 };
        if (!good) throw new SettingsException($"{kind} {shape}: expected {form}");
        int[] flat = sizes.SelectMany(s => s).ToArray();
        _program = Program.Trace(State, graph =>
        {
            if (form == MlpForm) TraceMlp(graph, flat, kind == "mlp-gradient");
            else if (form == GemmForm)
            {
                var (batch, m, k, n) = (flat[..^3], flat[^3], flat[^2], flat[^1]);
                Keep(graph, "result", Graph.Apply(new MatMul(transposeA, transposeB), Variable(graph, "a", transposeA ? [.. batch, k, m] : [.. batch, m, k]), Variable(graph, "b", transposeB ? [.. batch, n, k] : [.. batch, k, n])));
            }
            else TraceElementwise(graph, kind, flat);
        });
        Programs = [(_program, 1)];
        Name = $"{kind} {shape}{(transposeA ? ", a transposed" : "")}{(transposeB ? ", b transposed" : "")}";
    }

    private static int Size(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0;

    private Tensor Variable(Graph graph, string name, params int[] dimensions)
    {
        var stream = new PhiloxStream(1, name);
        var values = new float[dimensions.Aggregate(1L, (a, d) => a * d)];
        for (int i = 0; i < values.Length; i++) values[i] = (float)stream.NextUniform(-1, 1);
        return graph.Read(State.Add(name, dimensions, values));
    }

    private void Keep(Graph graph, string name, Tensor value) => graph.Assign(State.AddZeros(name, value.Type), value);

    private void TraceElementwise(Graph graph, string kind, int[] size)
    {
        var x = Variable(graph, "x", size);
        switch (kind)
        {
            case "add": Keep(graph, "result", x + Variable(graph, "y", size)); break;
            case "chain":
                var y = Variable(graph, "y", size);
                Keep(graph, "result", (x * y + x).Relu() * 0.5 - y);
                break;
            case "exp": Keep(graph, "result", x.Exp()); break;
            case "tanh": Keep(graph, "result", x.Tanh()); break;
            case "sum": Keep(graph, "result", x.Sum()); break;
            case "row-sum": Keep(graph, "result", x.Sum(1)); break;
            case "polyak": graph.Assign(State["x"], Graph.Apply(new Polyak(0.005), x, Variable(graph, "online", size))); break;
            case "adam":
                string[] written = ["x", "first", "second"];
                Tensor first = Variable(graph, "first", size), second = graph.Read(State.Add("second", size, Enumerable.Repeat(1f, size[0]).ToArray()));
                Tensor Scalar(string name, float value) => graph.Read(State.Add(name, Shape.Scalar, [value]));
                var next = graph.Add(new Adam(0.9, 0.999, 1e-8), x, first, second, Variable(graph, "gradient", size), Scalar("step_size", 3e-4f), Scalar("root_correction", 1), Scalar("decay", 1));
                for (int i = 0; i < 3; i++) graph.Assign(State[written[i]], next[i]);
                break;
            default: throw new InvalidOperationException($"{kind} is listed and not traced");
        }
    }

    private void TraceMlp(Graph graph, int[] sizes, bool gradient)
    {
        var (members, batch, inputs, hidden, outputs) = (sizes[0], sizes[1], sizes[2], sizes[3..^1], sizes[^1]);
        var mlp = new Mlp(new Builder(State, 0), inputs, outputs, new MlpSettings { HiddenSizes = hidden }, members);
        var result = mlp.Apply(Variable(graph, "x", batch, inputs));
        Keep(graph, "result", result);
        if (!gradient) return;
        var parameters = mlp.Parameters.ToArray();
        var gradients = Gradients.Of(result.Square().Mean(), Array.ConvertAll(parameters, graph.Read));
        for (int i = 0; i < parameters.Length; i++) Keep(graph, $"gradient.{parameters[i].Name}", gradients[i]);
    }

    /// <summary>Shapes worth timing: of products and networks those of updates, of elementwise work as many elements as half of each private cache, a quarter of the shared one, and 64 MiB a tensor.</summary>
    public static IReadOnlyList<string> Shapes(string kind)
    {
        var (_, _, form, tensors) = Find(kind);
        if (form == GemmForm) return ["256x256x256", "512x512x512", "1024x1024x1024", "256x23x256", "256x256x1", "10x256x256x256"];
        if (form == MlpForm) return ["10x256x23-256-256-256-1", "2x256x23-256-256-1"];
        if (form == RowForm) return ["2560x256"];
        long[] caches = CpuRoofline.Caches();
        return [.. new[] { caches[0] / 2, caches[1] / 2, caches[2] / 4, (64L << 20) * tensors }.Select(bytes => (bytes / tensors / 256 * 64).ToString(CultureInfo.InvariantCulture))];
    }

    private static (string Name, string Description, string Form, int Tensors) Find(string kind)
    {
        foreach (var known in Kinds)
            if (known.Name == kind) return known;
        throw new SettingsException($"{kind} is nothing to time; {NearNames.Describe(kind, AlgorithmCatalogue.All.Select(a => a.Name).Concat(Kinds.Select(k => k.Name)))}");
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<(Program Program, double Share)> Programs { get; }

    /// <inheritdoc/>
    public override void Run(int calls) => _program.Run(calls);
}
