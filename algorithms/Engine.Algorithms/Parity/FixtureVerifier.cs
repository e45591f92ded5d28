using Engine.Algorithms.Environments;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels;

namespace Engine.Algorithms.Parity;

/// <summary>One tensor of a fixture, compared.</summary>
/// <param name="Name">Tensor of expected.safetensors.</param>
/// <param name="Error64">||x - e|| / ||e|| of the float64 interpreter.</param>
/// <param name="Limit64">What is allowed.</param>
/// <param name="Error32">The same of the device in float32.</param>
/// <param name="Limit32">What is allowed.</param>
public sealed record TensorComparison(string Name, double Error64, double Limit64, double Error32, double Limit32)
{
    /// <summary>Both within their limits (NaN is not).</summary>
    public bool Holds => Error64 <= Limit64 && Error32 <= Limit32;
}

/// <summary>The result of replaying a fixture.</summary>
/// <param name="Comparisons">Every tensor that Engine computes.</param>
/// <param name="NotCompared">Diagnostics of the reference that Engine does not compute, and draws it does not need.</param>
public sealed record VerificationResult(IReadOnlyList<TensorComparison> Comparisons, IReadOnlyList<string> NotCompared)
{
    /// <summary>All hold.</summary>
    public bool Holds => Comparisons.All(c => c.Holds);
}

/// <summary>
/// Replays a fixture's updates twice: in float64 on the interpreter (the proof of the algorithm) and in float32 on a device (the proof of
/// the kernels).
/// </summary>
public static class FixtureVerifier
{
    private const double Limit64 = 1e-8, Limit64OfSingles = 1e-6, Least32 = 2e-5;

    private static readonly string[] BatchColumns = ["observations", "actions", "rewards", "next_observations", "terminals"];

    /// <summary>Names of the reference's diagnostics that Engine computes under another name.</summary>
    private static readonly Dictionary<string, string> Diagnostics = new() { ["diagnostic.entropy"] = "entropy" };

    /// <summary>Runs and compares.</summary>
    /// <exception cref="InteropFormatException">The fixture does not fit the algorithm: a name or a shape differs, a draw is missing.</exception>
    public static VerificationResult Run(Fixture fixture, Device device)
    {
        using var state = new State(device);
        var settings = fixture.Settings();
        var algorithm = AlgorithmCatalogue.Find(fixture.Algorithm).Create(new AlgorithmContext(state, 0, fixture.ObservationSize, ActionBounds.Unit(fixture.ActionSize)), settings);
        LoadInitial(fixture, state);

        var graph = new Graph();
        graph.Random.Feed();
        Tensor Column(string name, params int[] shape) => graph.Input("batch." + name, TensorType.Float([fixture.BatchSize, .. shape]));
        algorithm.TraceUpdate(new Batch(Column("observations", fixture.ObservationSize), Column("actions", fixture.ActionSize), Column("rewards"),
            Column("next_observations", fixture.ObservationSize), Column("terminals")));

        var feeds = Feeds(fixture, graph);
        var losses = fixture.Expected.Tensors.Where(t => graph.Outputs.ContainsKey(OutputName(t.Name))).ToArray();
        foreach (var loss in losses)
            if (loss.Shape.Length == 0 || loss.Shape[0] != fixture.Updates || Elements(loss) != fixture.Updates * graph.Outputs[OutputName(loss.Name)].Shape.Elements)
                throw new InteropFormatException(Path.Combine(fixture.Folder, "expected.safetensors"), -1, $"{loss.Name} has shape [{string.Join(",", loss.Shape)}], expected one row for each of {fixture.Updates} updates");

        var exact = RunInterpreter(fixture, graph, feeds, losses);
        var single = RunDevice(fixture, graph, state, feeds, losses);

        var comparisons = new List<TensorComparison>();
        var skipped = new List<string>();
        foreach (var expected in fixture.Expected.Tensors)
        {
            if (exact(expected.Name) is not { } x64 || single(expected.Name) is not { } x32)
            {
                if (!expected.Name.StartsWith("diagnostic.", StringComparison.Ordinal))
                    throw new InteropFormatException(Path.Combine(fixture.Folder, "expected.safetensors"), -1, $"{expected.Name} is neither a loss nor a variable of {fixture.Algorithm}");
                skipped.Add(expected.Name);
                continue;
            }
            var e = expected.ToDoubles();
            double limit64 = expected.Type == SafetensorsType.F64 ? Limit64 : Limit64OfSingles;
            comparisons.Add(new TensorComparison(expected.Name, RelativeError(x64, e), limit64, RelativeError(x32, e), Math.Max(fixture.Tolerance(expected.Name), Least32)));
        }
        skipped.AddRange(fixture.Noise.Tensors.Select(t => t.Name).Where(name => !graph.Inputs.ContainsKey(name)));
        return new VerificationResult(comparisons.OrderBy(c => c.Name, StringComparer.Ordinal).ToArray(), skipped);
    }

    private static long Elements(SafetensorsTensor tensor) => tensor.Shape.Aggregate(1L, (a, b) => a * b);

    private static string OutputName(string tensor) => Diagnostics.GetValueOrDefault(tensor, tensor);

    private static void LoadInitial(Fixture fixture, State state)
    {
        var wanted = state.Variables.Where(v => v.Kind == VariableKind.Parameter || v.Name.StartsWith("normalizer.", StringComparison.Ordinal)).ToArray();
        foreach (var variable in wanted)
        {
            var tensor = fixture.Initial[variable.Name];
            CheckShape(fixture, "initial.safetensors", tensor, variable.Type.Shape.Span.ToArray());
            state.Write(variable.Name, tensor.ToSingles());
        }
        var unknown = fixture.Initial.Tensors.Select(t => t.Name).Except(wanted.Select(v => v.Name)).ToArray();
        if (unknown.Length > 0) throw new InteropFormatException(Path.Combine(fixture.Folder, "initial.safetensors"), -1, $"{fixture.Algorithm} has no parameter {unknown[0]}");
    }

    private static void CheckShape(Fixture fixture, string file, SafetensorsTensor tensor, int[] expected)
    {
        if (!tensor.Shape.SequenceEqual(expected.Select(s => (long)s)))
            throw new InteropFormatException(Path.Combine(fixture.Folder, file), -1, $"{tensor.Name} has shape [{string.Join(",", tensor.Shape)}], expected [{string.Join(",", expected)}]");
    }

    /// <summary>Every input of the graph with the numbers of all updates, one after another.</summary>
    private static List<(string Name, double[] Values, int Size)> Feeds(Fixture fixture, Graph graph)
    {
        var feeds = new List<(string, double[], int)>();
        foreach (var (name, input) in graph.Inputs)
        {
            bool batch = name.StartsWith("batch.", StringComparison.Ordinal);
            string file = batch ? "batches.safetensors" : "noise.safetensors", key = batch ? name["batch.".Length..] : name;
            var source = batch ? fixture.Batches : fixture.Noise;
            if (!source.TryGet(key, out var tensor)) throw new InteropFormatException(Path.Combine(fixture.Folder, file), -1, batch ? $"no column {key}; expected {string.Join(", ", BatchColumns)}" : $"draw {key} is not fed");
            CheckShape(fixture, file, tensor, [fixture.Updates, .. input.Shape]);
            feeds.Add((name, tensor.ToDoubles(), (int)input.Shape.Elements));
        }
        return feeds;
    }

    private static Func<string, double[]?> RunInterpreter(Fixture fixture, Graph graph, List<(string Name, double[] Values, int Size)> feeds, SafetensorsTensor[] losses)
    {
        var interpreter = new Interpreter<double>(graph);
        foreach (var tensor in fixture.Initial.Tensors) tensor.ToDoubles().CopyTo(interpreter.Variable(tensor.Name, TensorType.Float(tensor.Shape.Select(s => (int)s).ToArray())).Floats, 0);
        var rows = losses.ToDictionary(l => l.Name, _ => new List<double>());
        for (int update = 0; update < fixture.Updates; update++)
        {
            foreach (var (name, values, size) in feeds) values.AsSpan(update * size, size).CopyTo(interpreter.Input(name).Floats);
            interpreter.Run();
            foreach (var (name, row) in rows) row.AddRange(interpreter.Output(OutputName(name)).Floats);
        }
        return name => rows.TryGetValue(name, out var row) ? row.ToArray()
            : graph.Assigned.TryGetValue(name, out var tensor) ? interpreter.Variable(name, tensor.Type).Floats : null;
    }

    private static Func<string, double[]?> RunDevice(Fixture fixture, Graph graph, State state, List<(string Name, double[] Values, int Size)> feeds, SafetensorsTensor[] losses)
    {
        using var program = new Program(graph, state);
        var rows = losses.ToDictionary(l => l.Name, _ => new List<double>());
        for (int update = 0; update < fixture.Updates; update++)
        {
            foreach (var (name, values, size) in feeds)
            {
                var slice = new float[size];
                for (int i = 0; i < size; i++) slice[i] = (float)values[update * size + i];
                program.Write(name, slice);
            }
            program.Run();
            foreach (var (name, row) in rows) row.AddRange(Array.ConvertAll(program.Read(OutputName(name)), v => (double)v));
        }
        return name => rows.TryGetValue(name, out var row) ? row.ToArray()
            : graph.Assigned.ContainsKey(name) ? Array.ConvertAll(state.Read(name), v => (double)v) : null;
    }

    /// <summary>||x - e|| / ||e|| over the whole tensor; ||x|| itself where e is zero.</summary>
    private static double RelativeError(double[] x, double[] e)
    {
        if (x.Length != e.Length) return double.PositiveInfinity;
        double difference = 0, norm = 0;
        for (int i = 0; i < x.Length; i++)
        {
            difference += (x[i] - e[i]) * (x[i] - e[i]);
            norm += e[i] * e[i];
        }
        return norm == 0 ? Math.Sqrt(difference) : Math.Sqrt(difference / norm);
    }
}
