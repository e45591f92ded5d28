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

    // A column: its elements are a float[], int[] or bool[]; or one text.
    private sealed record Column(string Name, long[] Shape, object Elements);

    private static List<Column> Columns(Dataset data)
    {
        long n = data.Count, s = data.ObservationSize, a = data.ActionSize;
        var columns = new List<Column>
        {
            new("observations", [n, s], data.Observations),
            data.ActionSpace is DiscreteActions ? new("actions", [n], Array.ConvertAll(data.Actions, v => (int)v)) : new("actions", [n, a], data.Actions),
            new("rewards", [n], data.Rewards),
            new("terminals", [n], data.Terminals),
            new("timeouts", [n], data.Timeouts.Select((cut, i) => cut || (data.Ends[i] && !data.Terminals[i] && i + 1 < n)).ToArray()),
        };
        if (data.NextObservations is { } next) columns.Add(new("next_observations", [n, s], next));
        if (data.ActionSpace is ActionBounds bounds) columns.AddRange([new(MetadataLow, [a], bounds.Low), new(MetadataHigh, [a], bounds.High)]);
        if (data.ActionSpace is DiscreteActions discrete) columns.Add(new(MetadataCount, [], new[] { discrete.Count }));
        if (data.Environment is { } environment) columns.Add(new(MetadataEnvironment, [], environment));
        return columns;
    }

    private static Hdf5Column ToHdf5(Column column) => column.Elements switch
    {
        float[] floats => Hdf5Column.From(column.Name, column.Shape, floats),
        int[] integers => Hdf5Column.From(column.Name, column.Shape, integers),
        bool[] flags => Hdf5Column.From(column.Name, column.Shape, flags),
        string text => Hdf5Column.From(column.Name, text),
        var other => throw new NotSupportedException($"{column.Name}: elements of {other.GetType().Name}"),
    };

    private static NpyArray ToNumpy(Column column) => column.Elements switch
    {
        float[] floats => NpyArray.From(column.Name, column.Shape, floats),
        int[] integers => NpyArray.From(column.Name, column.Shape, integers),
        bool[] flags => NpyArray.From(column.Name, column.Shape, flags),
        var other => throw new NotSupportedException($"{column.Name}: elements of {other.GetType().Name}"),
    };

    /// <summary>Writes a dataset in the format of the file's extension.</summary>
    /// <exception cref="SettingsException">The extension is another.</exception>
    public static void Write(Dataset data, string path)
    {
        switch (Path.GetExtension(path).ToLowerInvariant())
        {
            case ".hdf5" or ".h5":
                Hdf5Writer.Write(path, Columns(data).Select(ToHdf5));
                break;
            case ".npz": // arrays of numbers only: the environment's name is left out
                NpzFile.Write(path, Columns(data).Where(c => c.Elements is not string).Select(ToNumpy));
                break;
            case var other:
                throw new SettingsException($"{path}: cannot write {(other.Length == 0 ? "a file without extension" : other)}; expected {string.Join(", ", Extensions)} or a folder .shards");
        }
    }

    internal const string MetadataLow = "metadata/action_low", MetadataHigh = "metadata/action_high", MetadataCount = "metadata/action_count", MetadataEnvironment = "metadata/environment";
}
