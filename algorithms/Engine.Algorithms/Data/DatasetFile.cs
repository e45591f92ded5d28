using Engine.Algorithms.Environments;
using Engine.Interop;
using Engine.Interop.Hdf5;

namespace Engine.Algorithms.Data;

/// <summary>Datasets by file name or <c>builtin:NAME</c>.</summary>
public static class DatasetFile
{
    /// <summary>Loads a dataset.</summary>
    /// <param name="source">A file, or <c>builtin:NAME</c>.</param>
    /// <param name="space">What an action is, if known.</param>
    /// <exception cref="DatasetException">Missing, of an unknown layout, or damaged.</exception>
    public static TransitionDataset Load(string source, ActionSpace? space)
    {
        if (BuiltinDatasets.Names(source)) return TransitionDataset.From(BuiltinDatasets.Load(source), space);
        if (Directory.Exists(source)) throw new DatasetException($"{source}: is a folder, expected a dataset file (.h5, .hdf5)");
        if (!File.Exists(source)) throw new DatasetException($"{source}: no such file; expected a dataset (.h5, .hdf5) or builtin:{string.Join(", builtin:", BuiltinDatasets.All.Select(d => d.Name))}");
        try { return TransitionDataset.From(ReadFlat(source), space); }
        catch (InteropFormatException e) { throw new DatasetException(e.Message); }
        catch (IOException e) { throw new DatasetException($"{source}: cannot be read: {e.Message}"); }
        catch (UnauthorizedAccessException e) { throw new DatasetException($"{source}: cannot be read: {e.Message}"); }
    }

    private static bool IsInteger(Hdf5ElementType type) => type is not (Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64);

    /// <summary>d3rlpy v1 (episode_terminals) and D4RL's flat layout (timeouts) as recorded rows.</summary>
    private static Dataset ReadFlat(string path)
    {
        using var file = Hdf5File.Open(path);
        var root = file.Root;
        foreach (string key in new[] { "observations", "actions", "rewards", "terminals" })
            if (!root.Contains(key)) throw new DatasetException($"{path}: no key {key}; expected observations, actions, rewards, terminals (found {string.Join(", ", root.Names.Take(12))})");

        var observations = Rows("observations");
        int n = (int)observations.Shape[0];
        var actions = root.Dataset("actions");
        bool isDiscrete = IsInteger(actions.ElementType) || (root.Contains("discrete_action") && root.Dataset("discrete_action").ReadDoubles().FirstOrDefault() != 0);
        float[] values = isDiscrete ? Column("actions") : Rows("actions").ReadSingles();
        var terminals = Flags("terminals")!;
        bool[] ends = new bool[n];
        if (Flags("episode_terminals") is { } episodes)
        {
            // d3rlpy marks the last two rows of an episode as terminal; only the one that ends the episode is.
            for (int i = 0; i < n; i++) (ends[i], terminals[i]) = (episodes[i], terminals[i] && episodes[i]);
        }
        else
        {
            var timeouts = Flags("timeouts");
            for (int i = 0; i < n; i++) ends[i] = terminals[i] || (timeouts?[i] ?? false);
        }
        ends[n - 1] = true;
        return new Dataset
        {
            Source = path,
            Layout = root.Contains("episode_terminals") ? "d3rlpy v1" : "D4RL",
            ObservationSize = (int)observations.Shape[1],
            ActionSize = isDiscrete ? 1 : (int)actions.Shape[1],
            ActionSpace = isDiscrete ? new DiscreteActions(Math.Max(2, (int)values.Max() + 1)) : null,
            Observations = observations.ReadSingles(),
            Actions = values,
            Rewards = Column("rewards"),
            Terminals = terminals,
            Timeouts = Array.ConvertAll(Enumerable.Range(0, n).ToArray(), i => ends[i] && !terminals[i] && i + 1 < n),
            Ends = ends,
            NextObservations = root.Contains("next_observations") ? Rows("next_observations").ReadSingles() : null,
        };

        Hdf5Dataset Rows(string key)
        {
            var dataset = root.Dataset(key);
            if (dataset.Shape.Length != 2 || dataset.Shape[0] < 1 || dataset.Shape[1] < 1) throw new DatasetException($"{path}: {key} has shape [{string.Join(",", dataset.Shape)}], expected [rows, components]");
            return dataset;
        }

        float[] Column(string key)
        {
            var dataset = root.Dataset(key);
            if (dataset.Count != n || dataset.Shape.Length is not (1 or 2)) throw new DatasetException($"{path}: {key} has shape [{string.Join(",", dataset.Shape)}], expected [{n}] or [{n},1]: observations has {n} rows");
            return dataset.ReadSingles();
        }

        bool[]? Flags(string key) => root.Contains(key) ? Array.ConvertAll(Column(key), v => v != 0) : null;
    }
}
