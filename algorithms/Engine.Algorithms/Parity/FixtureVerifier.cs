using Engine.Algorithms.Batches;
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

    /// <summary>Runs and compares.</summary>
    /// <exception cref="InteropFormatException">The fixture does not fit the algorithm: a name or a shape differs, a draw is missing.</exception>
    public static VerificationResult Run(Fixture fixture, Device device)
    {
        if (fixture.Waits is { } missing) throw new InteropFormatException(Path.Combine(fixture.Folder, "fixture.json"), -1, missing);
        if (fixture.OnHost is { } host)
        {
            var results = host.Run(fixture.Inputs[0], fixture.HostSettings);
            return Compare(fixture, results, results, []);
        }
        using var state = new State(device);
        if (fixture.Computation is { } computation)
        {
            var computed = RecordedOnce.Of(fixture, computation);
            return Compare(fixture, computed.RunInterpreter(null), computed.RunDevice(state), [computed.Graph]);
        }
        var settings = fixture.Settings();
        var algorithm = AlgorithmCatalogue.Find(fixture.Algorithm).Create(new AlgorithmContext(state, 0, fixture.Spaces), settings);
        var stage = algorithm.Stages.Last(s => s.Update is not null);
        uint[] due = Enumerable.Range(0, fixture.Updates).Select(stage.DueAt).ToArray();
        var variants = due.Distinct().Order().ToList();
        var graphs = variants.Select(v => Trace(fixture, algorithm, stage, v)).ToArray();
        var once = RecordedOnce.Of(fixture, algorithm);
        var needed = new Needed(graphs, [.. fixture.Expected.Tensors.Select(t => FixtureNames.Output(t.Name)), .. once?.Graph.Initial.Keys ?? []]);
        var replay = new Replay(fixture, graphs, Array.ConvertAll(due, d => variants.IndexOf(d)), needed);
        LoadInitial(fixture, state, once is null ? graphs : [.. graphs, once.Graph], needed);
        return Compare(fixture, RunInterpreter(replay, once, state), RunDevice(replay, once, state), once is null ? graphs : [.. graphs, once.Graph]);
    }

    private static VerificationResult Compare(Fixture fixture, Func<string, double[]?> exact, Func<string, double[]?> single, Graph[] graphs)
    {
        var comparisons = new List<TensorComparison>();
        var skipped = new List<string>();
        foreach (var expected in fixture.Expected.Tensors)
        {
            if (exact(expected.Name) is not { } x64 || single(expected.Name) is not { } x32)
            {
                if (!expected.Name.StartsWith("diagnostic.", StringComparison.Ordinal))
                    throw new InteropFormatException(Path.Combine(fixture.Folder, "expected.safetensors"), -1, $"{expected.Name} is neither a loss nor a sample or variable of {fixture.Algorithm}");
                skipped.Add(expected.Name);
                continue;
            }
            var e = expected.ToDoubles();
            double limit64 = expected.Type == SafetensorsType.F64 ? Limit64 : Limit64OfSingles;
            comparisons.Add(new TensorComparison(expected.Name, RelativeError(x64, e), limit64, RelativeError(x32, e), Math.Max(fixture.Tolerance(expected.Name), Least32)));
        }
        if (fixture is { Computation: null, OnHost: null }) skipped.AddRange(fixture.Noise.Tensors.Select(t => t.Name).Where(name => !graphs.Any(g => g.Inputs.ContainsKey(name))));
        return new VerificationResult(comparisons.OrderBy(c => c.Name, StringComparer.Ordinal).ToArray(), skipped);
    }

    private static long Elements(SafetensorsTensor tensor) => tensor.Shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>Loads the parameters that the graphs read or change; those of other stages, or of parts that nothing recorded depends on, need not be a fixture's.</summary>
    private static void LoadInitial(Fixture fixture, State state, Graph[] graphs, Needed needed)
    {
        bool Has(string name) => graphs.Any(g => g.Initial.ContainsKey(name) || g.Assigned.ContainsKey(name)) && (needed.Variables(name) || fixture.Initial.TryGet(name, out _));
        var wanted = state.Variables.Where(v => (v.Kind == VariableKind.Parameter && Has(v.Name)) || v.Name.StartsWith("normalizer.", StringComparison.Ordinal)).ToArray();
        foreach (var variable in wanted)
        {
            var tensor = fixture.Initial[variable.Name];
            var shape = variable.Type.Shape.Span.ToArray();
            // An ensemble of one may be a network without an axis of members here.
            CheckShape(fixture, "initial.safetensors", tensor, tensor.Shape.Length == shape.Length + 1 && tensor.Shape[0] == 1 ? [1, .. shape] : shape);
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

    private static Graph Trace(Fixture fixture, Algorithm algorithm, Stage stage, uint due)
    {
        var graph = new Graph();
        graph.Random.Feed();
        // Rows of columns that the draws' kinds do not know are as the fixture has them.
        var batch = new FedBatch(graph, stage, fixture.Spaces, fixture.BatchSize, "batch.", name => fixture.Batches.TryGet(name, out var tensor) ? (Shape?)tensor.Shape.Skip(2).Select(s => (int)s).ToArray() : null);
        algorithm.TraceUpdate(stage, graph, batch.Read, due);
        return graph;
    }

    /// <summary>What to run: a graph for each set of periods that are due, its number for every update, and the losses to collect.</summary>
    private sealed class Replay
    {
        public Replay(Fixture fixture, Graph[] graphs, int[] phases, Needed needed)
        {
            (Fixture, Graphs, Phases) = (fixture, graphs, phases);
            Losses = fixture.Expected.Tensors.Select(t => t.Name).Where(name => graphs.Any(g => g.Outputs.ContainsKey(FixtureNames.Output(name)))).ToArray();
            foreach (string name in Losses)
            {
                // A loss has a row for every update that computes it: TD3+BC's policy every second.
                var loss = fixture.Expected[name];
                int rows = phases.Count(p => graphs[p].Outputs.ContainsKey(FixtureNames.Output(name)));
                long size = graphs.First(g => g.Outputs.ContainsKey(FixtureNames.Output(name))).Outputs[FixtureNames.Output(name)].Shape.Elements;
                if (loss.Shape.Length == 0 || loss.Shape[0] != rows || Elements(loss) != rows * size)
                    throw new InteropFormatException(Path.Combine(fixture.Folder, "expected.safetensors"), -1, $"{name} has shape [{string.Join(",", loss.Shape)}], expected one row for each of {rows} updates");
            }
            _feeds = graphs.Select(g => Feeds(g, needed)).ToArray();
        }

        private readonly List<(string Name, double[] Values, int Size)>[] _feeds;

        public Fixture Fixture { get; }

        public Graph[] Graphs { get; }

        public int[] Phases { get; }

        public string[] Losses { get; }

        /// <summary>Runs all updates in order.</summary>
        public Dictionary<string, List<double>> Run(Action<int, string, ReadOnlySpan<double>> write, Action<int> run, Func<int, string, double[]> read)
        {
            var rows = Losses.ToDictionary(name => name, _ => new List<double>());
            for (int update = 0; update < Phases.Length; update++)
            {
                int phase = Phases[update];
                foreach (var (name, values, size) in _feeds[phase]) write(phase, name, values.AsSpan(update * size, size));
                run(phase);
                foreach (var (name, row) in rows)
                    if (Graphs[phase].Outputs.ContainsKey(FixtureNames.Output(name))) row.AddRange(read(phase, FixtureNames.Output(name)));
            }
            return rows;
        }

        /// <summary>Whether the updates read or change a variable of that name.</summary>
        public bool Has(string name) => Graphs.Any(g => g.Assigned.ContainsKey(name) || g.Initial.ContainsKey(name));

        /// <summary>Every input of a graph with the numbers of all updates, one after another; 0 where nothing recorded depends on them.</summary>
        private List<(string Name, double[] Values, int Size)> Feeds(Graph graph, Needed needed)
        {
            var feeds = new List<(string, double[], int)>();
            foreach (var (name, input) in graph.Inputs)
            {
                bool batch = name.StartsWith("batch.", StringComparison.Ordinal);
                string file = batch ? "batches.safetensors" : "noise.safetensors", key = batch ? name["batch.".Length..] : name;
                var source = batch ? Fixture.Batches : Fixture.Noise;
                if (!source.TryGet(key, out var tensor))
                {
                    if (needed.Input(input)) throw new InteropFormatException(Path.Combine(Fixture.Folder, file), -1, batch ? $"no column {key}" : $"draw {key} is not fed");
                    feeds.Add((name, new double[Fixture.Updates * input.Shape.Elements], (int)input.Shape.Elements));
                    continue;
                }
                // One number a row is [K, B] in files and may be [B, 1] here.
                if (batch && input.Shape.Rank == tensor.Shape.Length && input.Shape[^1] == 1 && tensor.Shape[^1] != 1) CheckShape(Fixture, file, tensor, [Fixture.Updates, .. input.Shape.Without(input.Shape.Rank - 1)]);
                else CheckShape(Fixture, file, tensor, [Fixture.Updates, .. input.Shape]);
                feeds.Add((name, tensor.ToDoubles(), (int)input.Shape.Elements));
            }
            return feeds;
        }
    }

    private static Func<string, double[]?> RunInterpreter(Replay replay, RecordedOnce? once, State state)
    {
        // One set of variables for all phases.
        var interpreters = new List<Interpreter<double>>();
        foreach (var graph in replay.Graphs) interpreters.Add(new Interpreter<double>(graph, interpreters.FirstOrDefault()));
        foreach (var tensor in replay.Fixture.Initial.Tensors)
            tensor.ToDoubles().CopyTo(interpreters[0].Variable(tensor.Name, state[tensor.Name].Type).Floats, 0);
        // What the fixture does not state begins as in any run.
        foreach (var variable in state.Variables.Where(v => v.Type.DType == DType.F32 && !replay.Fixture.Initial.TryGet(v.Name, out _)))
            Array.ConvertAll(state.Read(variable.Name), v => (double)v).CopyTo(interpreters[0].Variable(variable.Name, variable.Type).Floats, 0);
        var rows = replay.Run((phase, name, values) =>
        {
            var input = interpreters[phase].Input(name);
            if (input.Type.DType == DType.I32)
                for (int i = 0; i < values.Length; i++) input.Ints[i] = (int)values[i];
            else values.CopyTo(input.Floats);
        }, phase => interpreters[phase].Run(), (phase, name) => interpreters[phase].Output(name).Floats);
        var samples = once?.RunInterpreter(interpreters[0]);
        return name => rows.TryGetValue(name, out var row) ? row.ToArray() : samples?.Invoke(name) is { } sample ? sample
            : replay.Has(name) ? interpreters[0].Variable(name, state[name].Type).Floats : null;
    }

    private static Func<string, double[]?> RunDevice(Replay replay, RecordedOnce? once, State state)
    {
        var programs = Array.ConvertAll(replay.Graphs, graph => new Program(graph, state));
        try
        {
            var rows = replay.Run((phase, name, values) =>
            {
                if (replay.Graphs[phase].Inputs[name].Type.DType == DType.I32)
                {
                    var ints = new int[values.Length];
                    for (int i = 0; i < ints.Length; i++) ints[i] = (int)values[i];
                    programs[phase].Write(name, ints);
                    return;
                }
                var singles = new float[values.Length];
                for (int i = 0; i < singles.Length; i++) singles[i] = (float)values[i];
                programs[phase].Write(name, singles);
            }, phase => programs[phase].Run(), (phase, name) => Array.ConvertAll(programs[phase].Read(name), v => (double)v));
            var samples = once?.RunDevice(state);
            return name => rows.TryGetValue(name, out var row) ? row.ToArray() : samples?.Invoke(name) is { } sample ? sample : replay.Has(name) ? Array.ConvertAll(state.Read(name), v => (double)v) : null;
        }
        finally
        {
            foreach (var program in programs) program.Dispose();
        }
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
