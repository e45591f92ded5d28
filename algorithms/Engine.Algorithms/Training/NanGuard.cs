using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>
/// Watches that losses stay finite: a device variable keeps the number of the first update with a loss that is not. When it is set, the run goes back to its last snapshot, forward to that update, and the interpreter names the op.
/// </summary>
internal sealed class NanGuard
{
    private const string Name = "guard.step";

    private readonly Trainer _run;
    private readonly Dictionary<string, byte[]> _snapshot = [];
    private int _snapshotStep;

    public NanGuard(Trainer run)
    {
        _run = run;
        run.State.Add(Name, [1], new[] { -1 });
    }

    /// <summary>Adds the watch to an update's graph, whose number is I32 [1].</summary>
    public void Trace(Graph graph, Tensor update)
    {
        if (graph.Watched.Count == 0) return;
        var guard = graph.Read(_run.State[Name]);
        // x - x is 0 for every finite x and NaN otherwise.
        var losses = graph.Watched.Select(l => l.Reshape(Shape.Scalar)).Aggregate((a, b) => a + b);
        var bad = (losses - losses).NotEqualTo(graph.Constant(0));
        graph.Assign(_run.State[Name], Tensor.Select(bad & (guard < 0), update, guard));
    }

    /// <summary>Throws if an update since the last check had a loss that is not finite.</summary>
    /// <exception cref="DivergedException">Names the step, the losses and the op.</exception>
    public void Check()
    {
        int bad = _run.State.ReadInts(Name)[0];
        if (bad < 0) return;
        foreach (var (name, bytes) in _snapshot) _run.State.WriteBytes(name, bytes);
        var (step, program) = _run.Replay(_snapshotStep, bad);
        var interpreter = new Interpreter<float>(program.Source) { FindNonFinite = true };
        interpreter.Load(_run.State);
        interpreter.Run();
        var losses = program.Source.Outputs.Where(o => program.Source.Watched.Contains(o.Value)).Select(o => $"{o.Key}={interpreter.Output(o.Key)[0]:G4}");
        throw new DivergedException(step, $"{string.Join(", ", losses)}; first op with a non-finite result: {interpreter.FirstNonFinite ?? "none in the reference code"}");
    }

    /// <summary>Keeps all variables but data and buffers, from which a replay begins.</summary>
    public void TakeSnapshot()
    {
        foreach (var variable in _run.State.Variables)
            if (variable.Kind != VariableKind.Data) _snapshot[variable.Name] = _run.State.ReadBytes(variable.Name);
        _snapshotStep = _run.Step;
        _run.MarkBuffers();
    }
}
