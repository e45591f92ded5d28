using Engine.Algorithms.Batches;

namespace Engine.Algorithms.Training;

/// <summary>Replaces the shards that are resident.</summary>
internal sealed class SwapShards(IReadOnlyList<ResidentRows> rows, int updates) : IDuty
{
    public int Next(int step) => rows.Count == 0 ? int.MaxValue : Every.Next(step, updates);

    public void Do(Trainer run)
    {
        foreach (var resident in rows) resident.MakeResident(run.Step);
    }
}

/// <summary>Evaluates the policy and keeps the best checkpoint.</summary>
internal sealed class Evaluate(RunConfig config, int last) : IDuty
{
    public int Next(int step) => Math.Min(config.EvaluateEvery > 0 ? Every.Next(step, config.EvaluateEvery) : int.MaxValue, step < last ? last : int.MaxValue);

    public void Do(Trainer run) => run.Evaluate();
}

/// <summary>Reads the metrics of the last update, and with them whether a loss was not finite.</summary>
internal sealed class Log(RunConfig config, int last, IDuty? evaluate) : IDuty
{
    public int Next(int step) => Math.Min(Math.Min(Every.Next(step, config.LogEvery), evaluate?.Next(step) ?? int.MaxValue), step < last ? last : int.MaxValue);

    public void Do(Trainer run) => run.Log();
}

/// <summary>Writes a checkpoint.</summary>
internal sealed class SaveCheckpoint(RunConfig config, int last) : IDuty
{
    public int Next(int step) => Math.Min(Every.Next(step, config.CheckpointEvery), step < last ? last : int.MaxValue);

    public void Do(Trainer run) => run.Save();
}
