using Engine.Algorithms.Data.Layouts;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Data;

/// <summary>Recognises the layout of a file and reads it.</summary>
internal static class DatasetLayouts
{
    /// <summary>What is known, for help and errors.</summary>
    public const string Known = "D4RL, d3rlpy v1 and v2, Minari, robomimic (HDF5); OGBench, NeoRL, Stable-Baselines, imitation, Dreamer (npz); LeRobot (folder), Parquet; CSV; folders of such files; any HDF5, npz, Parquet or CSV table with --column";

    /// <summary>Extensions of files, by which those of a folder are found.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".hdf5", ".h5", ".npz", ".parquet", ".csv", ".tsv", ".csv.gz"];

    /// <summary>Reads a file or a folder.</summary>
    public static Dataset Read(string source, DatasetOptions options)
    {
        string path = Resolve(source);
        if (!Directory.Exists(path)) return ReadFile(path, options);
        return LeRobotLayout.Is(path) ? LeRobotLayout.Read(path, options) : FolderLayout.Read(path, options);
    }

    /// <summary>Reads one file.</summary>
    public static Dataset ReadFile(string path, DatasetOptions options)
    {
        switch (Format(path))
        {
            case "hdf5":
                using (var file = Hdf5File.Open(path))
                {
                    if (D3Rlpy2Layout.Is(file.Root)) return D3Rlpy2Layout.Read(file, path, options);
                    if (GroupedLayout.Find(file.Root) is { } place) return GroupedLayout.Read(file, path, place, options);
                    using var table = new Hdf5Table(file);
                    return ReadTable(table, "D4RL", options) with { Environment = Environment(file.Root) };
                }
            case "npz":
                using (var table = new NpzTable(path, NpzFile.Open(path))) return ReadTable(table, "npz", options);
            case "parquet":
                using (var table = new ParquetTable(path)) return ReadTable(table, "Parquet", options);
            default:
                using (var table = new CsvTable(path)) return ReadTable(table, "CSV", options);
        }
    }

    /// <summary>Reads a flat table, with the action space as <see cref="DatasetWriter"/> adds it.</summary>
    public static Dataset ReadTable(Table table, string format, DatasetOptions options)
    {
        var data = FlatLayout.Read(table, format, options);
        float[]? Stated(string name) => table.Contains(name) ? table.Read(name) : null;
        if (data.ActionSpace is DiscreteActions found && Stated(DatasetWriter.MetadataCount) is { } count)
            return count.Length == 1 && count[0] >= found.Count && count[0] <= 1 << 20 && count[0] == MathF.Truncate(count[0]) ? data with { ActionSpace = new DiscreteActions((int)count[0]) }
                : throw new DatasetException($"{data.Source}: {DatasetWriter.MetadataCount} is {string.Join(", ", count.Take(4))}, but there are {found}");
        if (data.ActionSpace is not null || Stated(DatasetWriter.MetadataLow) is not { } low || Stated(DatasetWriter.MetadataHigh) is not { } high) return data;
        if (low.Length != data.ActionSize || high.Length != data.ActionSize || !low.Zip(high).All(b => float.IsFinite(b.First) && float.IsFinite(b.Second) && b.First < b.Second))
            throw new DatasetException($"{data.Source}: {DatasetWriter.MetadataLow} and {DatasetWriter.MetadataHigh} are no bounds of {data.ActionSize} action components");
        return data with { ActionSpace = new ActionBounds(low, high) };
    }

    private static string? Environment(Hdf5Group root) => root.IsDataset(DatasetWriter.MetadataEnvironment) ? root.Dataset(DatasetWriter.MetadataEnvironment).ReadStrings().FirstOrDefault() : null;

    private static string Resolve(string source)
    {
        if (Directory.Exists(source)) return new[] { Path.Combine(source, "data", "main_data.hdf5"), Path.Combine(source, "main_data.hdf5") }.FirstOrDefault(File.Exists) ?? source;
        return File.Exists(source) ? source : throw new DatasetException($"{source}: no such file; expected a dataset (.h5, .hdf5, .npz, .parquet, .csv), a folder of them, or builtin:{string.Join(", builtin:", BuiltinDatasets.All.Select(d => d.Name))}");
    }

    /// <summary>By the first bytes, else by the name: what a file is called does not decide what it is.</summary>
    private static string Format(string path)
    {
        Span<byte> start = stackalloc byte[8];
        using (var stream = File.OpenRead(path)) start = start[..stream.ReadAtLeast(start, 8, throwOnEndOfStream: false)];
        if (start.Length == 0) throw new DatasetException($"{path}: is empty");
        if (start.Length > 4 && start[0] == 0x89 && start[1..4].SequenceEqual("HDF"u8)) return "hdf5";
        if (start.StartsWith("PK"u8)) return "npz";
        if (start.StartsWith("PAR1"u8) || start.StartsWith("PARE"u8)) return "parquet";
        string extension = Path.GetExtension(path).ToLowerInvariant();
        if (start.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b])) extension = Path.GetExtension(path[..^extension.Length]).ToLowerInvariant();
        return extension switch
        {
            ".h5" or ".hdf5" => "hdf5",
            ".npz" => "npz",
            ".parquet" => "parquet",
            ".csv" or ".tsv" or ".txt" or ".dat" => "csv",
            var other => throw new DatasetException($"{path}: not recognised ({(other.Length == 0 ? "no extension" : other)}); known are {Known}"),
        };
    }
}
