using Engine.Algorithms.Batches;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Benchmarks;

/// <summary>One update of an algorithm on a made-up batch: forward, backward, optimisers, target networks.</summary>
public sealed class UpdateWorkload : Workload
{
    private readonly StagePrograms _stage;
    private int _step;

    /// <summary>Traces and compiles the last stage's update and writes a batch.</summary>
    /// <param name="entry">The algorithm.</param>
    /// <param name="settings">Its settings, the size of the batch among them.</param>
    /// <param name="observations">S.</param>
    /// <param name="actions">A, or the number of discrete actions.</param>
    /// <param name="device">Where it runs.</param>
    public UpdateWorkload(AlgorithmEntry entry, AlgorithmSettings settings, int observations, int actions, Device device) : base(device)
    {
        var spaces = Spaces(entry, observations, actions);
        var model = entry.Create(new AlgorithmContext(State, 0, spaces), settings);
        var generator = RandomDraws.AddState(State, 0);
        var read = new Dictionary<string, BatchColumn>();
        var stage = model.Stages.LastOrDefault(s => s.Update is not null) ?? throw new SettingsException($"{entry.Name} has no traced update");
        _stage = new StagePrograms(stage, due => Program.Trace(State, graph =>
        {
            graph.Random.Use(generator);
            var batch = new FedBatch(graph, stage, spaces, settings.BatchSize, "");
            model.TraceUpdate(stage, graph, batch.Read, due);
            graph.Random.Advance();
            foreach (var (name, column) in batch.Columns) read[name] = column;
        }));
        foreach (var (name, column) in read)
        {
            var stream = new PhiloxStream(1, name);
            var values = new float[_stage.All.First(p => p.Source.Inputs.ContainsKey(name)).Source.Inputs[name].Type.Elements];
            if (column.Name != "terminals")
                for (int i = 0; i < values.Length; i++) values[i] = entry.Discrete && column.Name == "actions" ? stream.NextInt(actions) : (float)stream.NextUniform(-1, 1);
            foreach (var program in _stage.All.Where(p => p.Source.Inputs.ContainsKey(name))) program.Write(name, values);
        }
        Name = $"{entry.Name}, batch {settings.BatchSize}, {observations} observations, {actions} actions{Hidden(settings)}";
    }

    internal static string Hidden(AlgorithmSettings settings) => settings is VectorSettings vector ? $", hidden {string.Join("-", vector.HiddenSizes)}" : "";

    internal static Spaces Spaces(AlgorithmEntry entry, int observations, int actions) =>
        new(observations, entry.Discrete ? new DiscreteActions(actions) : ActionBounds.Unit(actions), new GoalSpace(Enumerable.Range(0, observations).ToArray()));

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override int Cycle => _stage.All.Count() == 1 ? 1 : 20;

    /// <inheritdoc/>
    public override IReadOnlyList<(Program Program, double Share)> Programs => _stage.Shares(Cycle);

    /// <inheritdoc/>
    public override void Run(int calls)
    {
        _stage.Run(_step, _step + calls);
        _step += calls;
    }
}
