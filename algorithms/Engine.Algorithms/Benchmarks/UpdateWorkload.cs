using Engine.Algorithms.Environments;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Benchmarks;

/// <summary>One update of an algorithm on a made-up batch: forward, backward, optimisers, target networks.</summary>
public sealed class UpdateWorkload : Workload
{
    private readonly Algorithm _model;
    private readonly Program[] _programs;
    private int _step;

    /// <summary>Traces and compiles the update and writes a batch.</summary>
    /// <param name="entry">The algorithm.</param>
    /// <param name="settings">Its settings, the size of the batch among them.</param>
    /// <param name="observations">S.</param>
    /// <param name="actions">A, or the number of discrete actions.</param>
    /// <param name="device">Where it runs.</param>
    public UpdateWorkload(AlgorithmEntry entry, AlgorithmSettings settings, int observations, int actions, Device device) : base(device)
    {
        int batch = settings.BatchSize, width = entry.Discrete ? 1 : actions; // a discrete action is one number, its index
        _model = entry.Create(new AlgorithmContext(State, 0, observations, Space(entry, actions)), settings);
        var generator = RandomDraws.AddState(State, 0);
        _programs = Enumerable.Range(0, _model.Phases).Select(phase => Program.Trace(State, graph =>
        {
            graph.Random.Use(generator);
            Tensor Column(string name, params int[] shape) => graph.Input(name, TensorType.Float([batch, .. shape]));
            _model.TraceUpdate(new Batch(Column("observations", observations), Column("actions", width), Column("rewards"), Column("next_observations", observations), Column("terminals")), phase);
            graph.Random.Advance();
        })).ToArray();
        foreach (var (name, columns) in new[] { ("observations", observations), ("actions", width), ("rewards", 1), ("next_observations", observations), ("terminals", 0) })
        {
            var stream = new PhiloxStream(1, name);
            var values = new float[batch * Math.Max(columns, 1)];
            if (columns > 0)
                for (int i = 0; i < values.Length; i++) values[i] = entry.Discrete && name == "actions" ? stream.NextInt(actions) : (float)stream.NextUniform(-1, 1);
            foreach (var program in _programs) program.Write(name, values);
        }
        var steps = Enumerable.Range(0, Cycle).GroupBy(_model.PhaseOf).ToDictionary(g => g.Key, g => g.Count() / (double)Cycle);
        Programs = _programs.Select((p, phase) => (p, steps.GetValueOrDefault(phase))).ToArray();
        Name = $"{entry.Name}, batch {batch}, {observations} observations, {actions} actions, hidden {string.Join("-", settings.HiddenSizes)}";
    }

    internal static ActionSpace Space(AlgorithmEntry entry, int actions) => entry.Discrete ? new DiscreteActions(actions) : ActionBounds.Unit(actions);

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override int Cycle => _programs.Length == 1 ? 1 : 20;

    /// <inheritdoc/>
    public override IReadOnlyList<(Program Program, double Share)> Programs { get; }

    /// <inheritdoc/>
    public override void Run(int calls)
    {
        for (int end = _step + calls; _step < end; _step++) _programs[_model.PhaseOf(_step)].Run();
    }
}
