using Engine.Interop.Hdf5;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>d3rlpy v2: observations_i, actions_i, rewards_i and terminated_i at the root, i the episode.</summary>
internal static class D3Rlpy2Layout
{
    /// <summary>Whether a file is of this layout.</summary>
    public static bool Is(Hdf5Group root) => root.Names.Contains("num_episodes") || root.Names.Contains("observations_0");

    /// <summary>Reads it.</summary>
    public static Dataset Read(Hdf5File file, string path, DatasetOptions options)
    {
        if (options is not { Observations: null, Without: null, Split: null }) throw new DatasetException($"{path}: d3rlpy's episodes have one array of observations and no splits: --observations, --without and --split do not apply");
        var root = file.Root;
        int count = root.Contains("num_episodes") ? root.Dataset("num_episodes").ReadInt32s().FirstOrDefault() : root.Names.Count(n => n.StartsWith("rewards_", StringComparison.Ordinal));
        if (count < 1 || count > root.Names.Count) throw new DatasetException($"{path}: num_episodes is {count}, expected 1 to {root.Names.Count}");
        var episodes = Enumerable.Range(0, count).Select(i =>
        {
            foreach (string key in new[] { "observations", "actions", "rewards", "terminated" })
                if (!root.Contains($"{key}_{i}")) throw new DatasetException($"{path}: no key {key}_{i}, though there are {count} episodes");
            var rewards = root.Dataset($"rewards_{i}");
            if (rewards.Shape is not [var r, ..] || r > int.MaxValue / 8 || rewards.Shape.Skip(1).Any(d => d != 1)) throw new DatasetException($"{path}: rewards_{i} has shape [{string.Join(",", rewards.Shape)}], expected [steps]");
            int steps = (int)rewards.Shape[0];
            if (steps == 0) return new RecordedEpisode($"episode {i}", [], 0, null, [], 0, [], [], []);
            int size = Width(root.Dataset($"observations_{i}"), steps), actionSize = Width(root.Dataset($"actions_{i}"), steps);
            bool terminated = root.Dataset($"terminated_{i}").ReadInt32s().FirstOrDefault() != 0;
            var (terminals, timeouts) = (new bool[steps], new bool[steps]);
            (terminals[^1], timeouts[^1]) = (terminated, !terminated);
            return new RecordedEpisode($"episode {i}", root.Dataset($"observations_{i}").ReadSingles(), size, null, root.Dataset($"actions_{i}").ReadSingles(), actionSize, rewards.ReadSingles(), terminals, timeouts);
        }).ToArray();
        var kind = root.Dataset("actions_0").ElementType switch { Hdf5ElementType.Boolean => ColumnKind.Boolean, Hdf5ElementType.Float16 or Hdf5ElementType.Float32 or Hdf5ElementType.Float64 => ColumnKind.Number, _ => ColumnKind.Whole };
        return Episodes.Join(path, "d3rlpy v2", episodes, kind, []) with { Keys = [("observations_i, actions_i, rewards_i, terminated_i", $"{count} episodes", root.Dataset("observations_0").ElementType.ToString())] };

        int Width(Hdf5Dataset dataset, int rows) => dataset.Shape is { Length: 1 or 2 } shape && shape[0] == rows && (shape.Length == 1 || shape[1] is >= 1 and <= 1 << 20) ? dataset.Shape.Length == 1 ? 1 : (int)dataset.Shape[1]
            : throw new DatasetException($"{path}: {dataset.Name} has shape [{string.Join(",", dataset.Shape)}], expected [{rows}, components]");
    }
}
