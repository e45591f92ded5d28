using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Data;

/// <summary>
/// Writes recorded rows in D4RL's keys, so that other tools read them: HDF5 or npz, atomically. D4RL knows no trajectory that ends without a terminal or a time limit before the last row:
/// such an end is written as a timeout, because else the rows on both sides of it would become a transition.
/// </summary>
public static class DatasetWriter
{
    /// <summary>Extensions that can be written.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".hdf5", ".h5", ".npz"];

    /// <summary>Writes a dataset in the format of the file's extension.</summary>
    /// <exception cref="SettingsException">The extension is another.</exception>
    public static void Write(Dataset data, string path)
    {
        long n = data.Count, s = data.ObservationSize, a = data.ActionSize;
        bool discrete = data.ActionSpace is DiscreteActions;
        var indices = discrete ? Array.ConvertAll(data.Actions, v => (int)v) : [];
        var bounds = data.ActionSpace as ActionBounds;
        var count = data.ActionSpace as DiscreteActions;
        var timeouts = data.Timeouts.Select((cut, i) => cut || (data.Ends[i] && !data.Terminals[i] && i + 1 < n)).ToArray();
        switch (Path.GetExtension(path).ToLowerInvariant())
        {
            case ".hdf5" or ".h5":
                var columns = new List<Hdf5Column>
                {
                    Hdf5Column.From("observations", [n, s], data.Observations),
                    discrete ? Hdf5Column.From("actions", [n], indices) : Hdf5Column.From("actions", [n, a], data.Actions),
                    Hdf5Column.From("rewards", [n], data.Rewards),
                    Hdf5Column.From("terminals", [n], data.Terminals),
                    Hdf5Column.From("timeouts", [n], timeouts),
                };
                if (data.NextObservations is { } next) columns.Add(Hdf5Column.From("next_observations", [n, s], next));
                if (bounds is not null) columns.AddRange([Hdf5Column.From(MetadataLow, [a], bounds.Low), Hdf5Column.From(MetadataHigh, [a], bounds.High)]);
                if (count is not null) columns.Add(Hdf5Column.From(MetadataCount, [], [count.Count]));
                if (data.Environment is { } environment) columns.Add(Hdf5Column.From(MetadataEnvironment, environment));
                Hdf5Writer.Write(path, columns);
                break;
            case ".npz":
                var arrays = new List<NpyArray>
                {
                    NpyArray.From("observations", [n, s], data.Observations),
                    discrete ? NpyArray.From("actions", [n], indices) : NpyArray.From("actions", [n, a], data.Actions),
                    NpyArray.From("rewards", [n], data.Rewards),
                    NpyArray.From("terminals", [n], data.Terminals),
                    NpyArray.From("timeouts", [n], timeouts),
                };
                if (data.NextObservations is { } successors) arrays.Add(NpyArray.From("next_observations", [n, s], successors));
                if (bounds is not null) arrays.AddRange([NpyArray.From(MetadataLow, [a], bounds.Low), NpyArray.From(MetadataHigh, [a], bounds.High)]);
                if (count is not null) arrays.Add(NpyArray.From(MetadataCount, [], [count.Count]));
                NpzFile.Write(path, arrays);
                break;
            case var other:
                throw new SettingsException($"{path}: cannot write {(other.Length == 0 ? "a file without extension" : other)}; expected {string.Join(", ", Extensions)} or a folder .shards");
        }
    }

    internal const string MetadataLow = "metadata/action_low", MetadataHigh = "metadata/action_high", MetadataCount = "metadata/action_count", MetadataEnvironment = "metadata/environment";
}
