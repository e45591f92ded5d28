namespace Engine.Algorithms.Training;

/// <summary>
/// What the host does between updates. A duty of a stage is done before the update of a step: it prepares what the update draws. Those of every run (logging, evaluations, checkpoints) are done after it. A duty that is <see cref="IDisposable"/> is disposed
/// when the run is. When a loss is not finite the updates since the last line of metrics are done again to name the op: of the duties between them only <see cref="Interact"/> is.
/// </summary>
public interface IDuty
{
    /// <summary>Names of the numbers it reports with <see cref="Trainer.Report"/>.</summary>
    IReadOnlyList<string> Metrics => [];

    /// <summary>Gets ready, before the run's first step: adds variables, compiles programs, opens the environment.</summary>
    void Prepare(Trainer run) { }

    /// <summary>The first step after <paramref name="step"/> at which there is something to do; int.MaxValue: none.</summary>
    /// <param name="step">Of the stage; of a run's own duties, of the run.</param>
    int Next(int step);

    /// <summary>Does it.</summary>
    void Do(Trainer run);

    /// <summary>Writes what a resumed run must know; by default nothing.</summary>
    void Save(BinaryWriter to) { }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    void Load(BinaryReader from) { }
}

/// <summary>Steps at which something is due that recurs.</summary>
public static class Every
{
    /// <summary>The first multiple of an interval after a step; the steps below 0 are before 0.</summary>
    public static int Next(int step, int interval) => step < 0 ? 0 : (step / interval + 1) * interval;
}
