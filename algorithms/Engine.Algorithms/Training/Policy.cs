using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>The deterministic policy of an algorithm as a program of its own, for batches up to a size.</summary>
public sealed class Policy : IDisposable
{
    private readonly Program _program;

    /// <summary>Compiles the policy of an algorithm whose parameters are in the state.</summary>
    public Policy(Algorithm algorithm, State state, int observationSize, int maxRows) => _program = Program.Trace(state, graph =>
        graph.Output("actions", algorithm.TracePolicy(graph.Input("observations", new TensorType(DType.F32, [maxRows, observationSize], Rows: true)))));

    /// <summary>Observations [rows, S] to actions [rows, A] in [-1, 1].</summary>
    public void Act(ReadOnlySpan<float> observations, int rows, Span<float> actions)
    {
        _program.Rows = rows;
        _program.Write("observations", observations);
        _program.Run();
        _program.Read("actions", actions);
    }

    /// <summary>Evaluates the newest checkpoint of a run folder.</summary>
    /// <exception cref="Interop.InteropFormatException">The folder is not a run, or has no checkpoint yet.</exception>
    public static (EvaluationResult Result, int Step) Evaluate(string run, string? environment, int episodes, ulong seed, Device device)
    {
        var (config, _, space, observationSize) = RunConfig.Read(run);
        string id = environment ?? config.Environment ?? throw new SettingsException("this run has no environment: name one with --env");
        var entry = EnvironmentCatalogue.Find(id);
        var probe = entry.Create(1);
        if (probe.ObservationSize != observationSize || !Fits(probe.ActionSpace, space))
            throw new SettingsException($"environment {id} has {probe.ObservationSize} observations and {probe.ActionSpace}, the run's policy {observationSize} and {space}");
        var newest = Checkpoint.List(run);
        if (newest.Count == 0) throw new Interop.InteropFormatException(Checkpoint.Folder(run), -1, "no checkpoint yet");
        using var state = new State(device);
        var algorithm = AlgorithmCatalogue.Find(config.Algorithm).Create(new AlgorithmContext(state, config.Seed, observationSize, space), config.Settings);
        Checkpoint.Read(newest[0].Path, state);
        using var policy = new Policy(algorithm, state, observationSize, episodes);
        return (Evaluator.Run(entry, policy.Act, episodes, seed), newest[0].Step);
    }

    /// <summary>Whether a policy for one space can act in the other: as many discrete actions, or as many continuous components.</summary>
    internal static bool Fits(ActionSpace one, ActionSpace other) => (one, other) switch
    {
        (DiscreteActions a, DiscreteActions b) => a.Count == b.Count,
        (ActionBounds a, ActionBounds b) => a.Size == b.Size,
        _ => false,
    };

    /// <inheritdoc/>
    public void Dispose() => _program.Dispose();
}
