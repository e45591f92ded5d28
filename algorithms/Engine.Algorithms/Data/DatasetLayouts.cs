using Engine.Algorithms.Data.Layouts;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Data;

/// <summary>Recognises the layout of a file and reads it.</summary>
internal static class DatasetLayouts
{
    /// <summary>What is known, for help and errors.</summary>
    public const string Known = "D4RL, d3rlpy v1 and v2, Minari (HDF5); OGBench, NeoRL, Stable-Baselines, imitation (npz); CSV; any HDF5, npz or CSV table with --column";

    /// <summary>Reads a file or a Minari folder.</summary>
    public static Dataset Read(string source, DatasetOptions options)
    {
        string path = Resolve(source);
        switch (Format(path))
        {
            case "hdf5":
                using (var file = Hdf5File.Open(path))
                {
                    if (EpisodeLayouts.IsMinari(file.Root)) return EpisodeLayouts.ReadMinari(file, path);
                    if (EpisodeLayouts.IsD3Rlpy2(file.Root)) return EpisodeLayouts.ReadD3Rlpy2(file, path);
                    using var table = new Hdf5Table(file);
                    return WithSpace(FlatLayout.Read(table, "D4RL", options), name => file.Root.IsDataset(name) ? file.Root.Dataset(name).ReadSingles() : null) with { Environment = Environment(file.Root) };
                }
            case "npz":
                using (var table = new NpzTable(path, NpzFile.Open(path))) return WithSpace(FlatLayout.Read(table, "npz", options), name => table.Contains(name) ? table.Read(name) : null);
            default:
                using (var table = new CsvTable(path)) return FlatLayout.Read(table, "CSV", options);
        }
    }

    /// <summary>The action space as <see cref="DatasetWriter"/> adds it.</summary>
    private static Dataset WithSpace(Dataset data, Func<string, float[]?> read)
    {
        if (data.ActionSpace is DiscreteActions found && read(DatasetWriter.MetadataCount) is { } count)
            return count.Length == 1 && count[0] >= found.Count && count[0] <= 1 << 20 && count[0] == MathF.Truncate(count[0]) ? data with { ActionSpace = new DiscreteActions((int)count[0]) }
                : throw new DatasetException($"{data.Source}: {DatasetWriter.MetadataCount} is {string.Join(", ", count.Take(4))}, but there are {found}");
        if (data.ActionSpace is not null || read(DatasetWriter.MetadataLow) is not { } low || read(DatasetWriter.MetadataHigh) is not { } high) return data;
        if (low.Length != data.ActionSize || high.Length != data.ActionSize || !low.Zip(high).All(b => float.IsFinite(b.First) && float.IsFinite(b.Second) && b.First < b.Second))
            throw new DatasetException($"{data.Source}: {DatasetWriter.MetadataLow} and {DatasetWriter.MetadataHigh} are no bounds of {data.ActionSize} action components");
        return data with { ActionSpace = new ActionBounds(low, high) };
    }

    private static string? Environment(Hdf5Group root) => root.IsDataset(DatasetWriter.MetadataEnvironment) ? root.Dataset(DatasetWriter.MetadataEnvironment).ReadStrings().FirstOrDefault() : null;

    /// <summary>The columns of a flat file, for an inspection; null for layouts with a group an episode.</summary>
    public static T Inspect<T>(string source, Func<Table?, Hdf5Group?, T> look)
    {
        string path = Resolve(source);
        switch (Format(path))
        {
            case "hdf5":
                using (var file = Hdf5File.Open(path))
                using (var table = new Hdf5Table(file)) return look(table, file.Root);
            case "npz":
                using (var table = new NpzTable(path, NpzFile.Open(path))) return look(table, null);
            default:
                using (var table = new CsvTable(path)) return look(table, null);
        }
    }

    private static string Resolve(string source)
    {
        if (Directory.Exists(source))
            return new[] { Path.Combine(source, "data", "main_data.hdf5"), Path.Combine(source, "main_data.hdf5") }.FirstOrDefault(File.Exists)
                ?? throw new DatasetException($"{source}: is a folder without data/main_data.hdf5; expected a dataset file, or the folder of a Minari dataset");
        return File.Exists(source) ? source : throw new DatasetException($"{source}: no such file; expected a dataset (.h5, .hdf5, .npz, .csv), a Minari folder, or builtin:{string.Join(", builtin:", BuiltinDatasets.All.Select(d => d.Name))}");
    }

    /// <summary>By the first bytes, else by the name: what a file is called does not decide what it is.</summary>
    private static string Format(string path)
    {
        Span<byte> start = stackalloc byte[8];
        using (var stream = File.OpenRead(path)) start = start[..stream.ReadAtLeast(start, 8, throwOnEndOfStream: false)];
        if (start.Length == 0) throw new DatasetException($"{path}: is empty");
        if (start.Length > 4 && start[0] == 0x89 && start[1..4].SequenceEqual("HDF"u8)) return "hdf5";
        if (start.StartsWith("PK"u8)) return "npz";
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".h5" or ".hdf5" => "hdf5",
            ".npz" => "npz",
            ".csv" or ".tsv" or ".txt" => "csv",
            var other => throw new DatasetException($"{path}: not recognised ({(other.Length == 0 ? "no extension" : other)}); known are {Known}"),
        };
    }
}
