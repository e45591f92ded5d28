using Engine.Algorithms.Batches;
using Engine.Algorithms.Environments;

namespace Engine.Algorithms.Data;

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

    /// <summary>What is seen and done; for continuous actions the bounds say what -1 and 1 mean.</summary>
    public required Spaces Spaces { get; init; }

    /// <summary>S.</summary>
    public int ObservationSize => Spaces.Observation.Size;

    /// <summary>What an action is.</summary>
    public ActionSpace ActionSpace => Spaces.Action;

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

    /// <summary>Columns of a row.</summary>
    public virtual IReadOnlyList<BatchColumn> Columns => BatchColumn.Recorded(Spaces);

    /// <summary>Most rows of a shard's table, those that end a trajectory included.</summary>
    public abstract int LargestTable { get; }

    /// <summary>The rows of a shard.</summary>
    public abstract DataTable Shard(int index);

    /// <summary>Mean and standard deviation (divisor n) of each observation component, in float64.</summary>
    public abstract (double[] Mean, double[] Std) ObservationStatistics();
}
