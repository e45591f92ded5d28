using Engine.Algorithms.Environments;

namespace Engine.Algorithms.Data;

/// <summary>Columns of transitions, ready for a device.</summary>
/// <param name="Rows">Number of transitions.</param>
/// <param name="Observations">[Rows, S]</param>
/// <param name="Actions">[Rows, A] in [-1, 1]; of discrete actions [Rows, 1], the index.</param>
/// <param name="Rewards">[Rows]</param>
/// <param name="NextObservations">[Rows, S]; of a terminal row its own observation, which nothing uses.</param>
/// <param name="Terminals">[Rows], 0 or 1.</param>
public sealed record TransitionColumns(int Rows, float[] Observations, float[] Actions, float[] Rewards, float[] NextObservations, float[] Terminals);

/// <summary>Undiscounted returns of the recorded trajectories.</summary>
/// <param name="Episodes">How many.</param>
/// <param name="Min">The worst.</param>
/// <param name="Mean">Their mean.</param>
/// <param name="Max">The best.</param>
public sealed record ReturnSummary(int Episodes, double Min, double Mean, double Max);

/// <summary>What a trainer needs of data: in memory as a whole (<see cref="TransitionDataset"/>), or in shards of which two are resident (<see cref="ShardedDataset"/>).</summary>
public abstract class TrainingData
{
    /// <summary>Loads what can be trained on: a folder of shards, or anything <see cref="Dataset.Load"/> reads, as transitions.</summary>
    /// <param name="source">File, folder or builtin:NAME.</param>
    /// <param name="environment">Environment of the evaluation, whose action space counts; null: what the data say.</param>
    /// <param name="options">What a file does not say.</param>
    public static TrainingData Load(string source, string? environment = null, DatasetOptions? options = null) => ShardedDataset.Names(source) ? ShardedDataset.Open(source)
        : TransitionDataset.From(Dataset.Load(source, options), environment is null ? null : EnvironmentCatalogue.Find(environment).Create(1).ActionSpace);

    /// <summary>File or generator.</summary>
    public required string Source { get; init; }

    /// <summary>S.</summary>
    public required int ObservationSize { get; init; }

    /// <summary>What an action is: for continuous actions the bounds say what -1 and 1 mean.</summary>
    public required ActionSpace ActionSpace { get; init; }

    /// <summary>A; 1 of discrete actions.</summary>
    public int ActionSize => ActionSpace.Size;

    /// <summary>Number of transitions.</summary>
    public required int Count { get; init; }

    /// <summary>Returns of the recorded trajectories.</summary>
    public required ReturnSummary Returns { get; init; }

    /// <summary>What a user should know: rows dropped, actions clipped, bounds guessed.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>SHA-256 of the columns: a run remembers what it was trained on.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Number of shards; 1 for data in memory.</summary>
    public abstract int Shards { get; }

    /// <summary>Transitions of the largest shard.</summary>
    public abstract int LargestShard { get; }

    /// <summary>The columns of a shard.</summary>
    public abstract TransitionColumns Shard(int index);

    /// <summary>Mean and standard deviation (divisor n) of each observation component, in float64.</summary>
    public abstract (double[] Mean, double[] Std) ObservationStatistics();
}
