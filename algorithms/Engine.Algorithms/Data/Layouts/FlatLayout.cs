using Engine.Interop;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>
/// Layouts with one column for each quantity and a row for each step. They differ in names and in how they mark the ends of episodes: D4RL (timeouts), d3rlpy v1
/// (episode_terminals), OGBench (terminals are trajectory ends, no rewards), NeoRL (index: first rows), NeoRL2 (truncated), Stable-Baselines (episode_starts), imitation
/// (one observation more an episode), and any table with a column mapping.
/// </summary>
internal static class FlatLayout
{
    private static readonly Dictionary<string, string[]> Synonyms = new()
    {
        ["observations"] = ["observations", "obs", "observation", "states", "state", "state_feature"],
        ["actions"] = ["actions", "action", "acts", "act"],
        ["rewards"] = ["rewards", "reward", "rews", "rew"],
        ["next_observations"] = ["next_observations", "next_obs", "next_states", "next_state"],
        ["terminals"] = ["terminals", "terminal", "terminations", "terminated", "dones", "done"],
        ["timeouts"] = ["timeouts", "timeout", "truncations", "truncated"],
        ["episode_terminals"] = ["episode_terminals"],
        ["episode_starts"] = ["episode_starts"],
        ["episode"] = ["episode", "episode_id"],
        ["index"] = ["index"],
        ["indices"] = ["indices"],
    };

    /// <summary>Names of the quantities a column can be mapped to.</summary>
    public static IEnumerable<string> Quantities => Synonyms.Keys;

    /// <summary>Reads a table.</summary>
    /// <exception cref="DatasetException">A column is missing, or its shape does not fit.</exception>
    public static Dataset Read(Table table, string format, DatasetOptions options)
    {
        var reader = new Reader(table, options);
        if (reader.Find("indices") is { } indices && reader.Find("observations") is { } o && reader.Matrix(o).Rows > reader.Matrix(reader.Require("actions")).Rows) return reader.Imitation(indices);
        return reader.Rows(format);
    }

    private sealed class Reader(Table table, DatasetOptions options)
    {
        private readonly List<string> _notes = [.. table.Notes];

        public string? Find(string quantity)
        {
            if (options.Columns.TryGetValue(quantity, out string? mapped))
                return table.Contains(mapped) ? mapped : throw new DatasetException($"{table.Path}: no column {mapped} for {quantity}; {NearNames.Describe(mapped, table.Names)}");
            return Synonyms[quantity].FirstOrDefault(table.Contains);
        }

        public string Require(string quantity) => Find(quantity)
            ?? throw new DatasetException($"{table.Path}: no key {quantity}; found {string.Join(", ", table.Names.Take(12))}; if it has another name, say --column {quantity}=NAME");

        public Dataset Rows(string format)
        {
            string observations = Require("observations"), actions = Require("actions");
            var (n, size) = Matrix(observations);
            float[] states = table.Read(observations);
            var (space, actionSize, acts) = Actions(actions, n);
            float[] rewards = Find("rewards") is { } r ? Column(r, n) : NoRewards(n);
            float[]? next = null;
            if (Find("next_observations") is { } nextName)
            {
                var (nextRows, nextSize) = Matrix(nextName);
                if ((nextRows, nextSize) != (n, size)) throw new DatasetException($"{table.Path}: {nextName} has shape [{nextRows},{nextSize}], expected [{n},{size}] as {observations}");
                next = table.Read(nextName);
            }
            var terminals = Flags("terminals", n) ?? new bool[n];
            var timeouts = Flags("timeouts", n);
            string layout = format;
            if (Flags("episode_terminals", n) is { } episodeEnds)
            {
                layout = "d3rlpy v1";
                // It marks the last two rows of most episodes as terminal; only the one that ends the episode is.
                int ignored = Enumerable.Range(0, n).Count(i => terminals[i] && !episodeEnds[i]);
                if (ignored > 0) _notes.Add($"{ignored} terminals before the end of their episode are ignored: episode_terminals say where it ends");
                for (int i = 0; i < n; i++) terminals[i] &= episodeEnds[i];
                timeouts = Array.ConvertAll(Enumerable.Range(0, n).ToArray(), i => episodeEnds[i] && !terminals[i]);
            }
            else if (Find("rewards") is null && Find("terminals") is not null)
            {
                layout = "OGBench";
                (timeouts, terminals) = (terminals, new bool[n]);
                _notes.Add("terminals mark the ends of trajectories, as OGBench has it: none is the end of the task");
            }
            else if (Find("index") is { } index && (options.Columns.ContainsKey("index") || !table.Shape(index).AsSpan().SequenceEqual([n]))) // a number for each row is a data frame's
            {
                layout = "NeoRL";
                timeouts = Starts(RowNumbers(index), n, index);
            }
            else if (Flags("episode_starts", n) is { } starts)
            {
                layout = "Stable-Baselines";
                timeouts = new bool[n];
                for (int i = 0; i + 1 < n; i++) timeouts[i] = starts[i + 1];
                if (Find("terminals") is null) _notes.Add("episode_starts do not say how an episode ended: every end is taken for a time limit");
            }
            else if (Find("episode") is { } episode)
            {
                Column(episode, n);
                double[] numbers = table.ReadExact(episode);
                timeouts ??= new bool[n];
                for (int i = 0; i + 1 < n; i++) timeouts[i] |= numbers[i] != numbers[i + 1];
            }
            else if (timeouts is null)
            {
                timeouts = new bool[n];
                if (options.MaxEpisodeSteps is { } limit) CutAt(limit, terminals, timeouts);
                else if (next is null) _notes.Add("no timeouts: trajectories are taken to end at terminals only (--max-steps N cuts them)");
            }
            else if (next is not null && Find("timeouts") == "truncated") layout = "NeoRL2";

            var ends = new bool[n];
            for (int i = 0; i < n; i++)
            {
                if (terminals[i]) timeouts[i] = false;
                ends[i] = terminals[i] || timeouts[i];
            }
            ends[n - 1] = true;
            return DropBlankRows(new Dataset
            {
                Source = table.Path,
                Layout = layout,
                ObservationSize = size,
                ActionSize = actionSize,
                ActionSpace = space,
                Observations = states,
                Actions = acts,
                Rewards = rewards,
                Terminals = terminals,
                Timeouts = timeouts,
                Ends = ends,
                NextObservations = next,
                Notes = _notes,
            });
        }

        /// <summary>imitation: every episode has one observation more than actions; indices are the first steps of all episodes but the first, terminal says of each episode whether
        /// the task ended with it.</summary>
        public Dataset Imitation(string indices)
        {
            string observations = Require("observations"), actions = Require("actions");
            var (all, size) = Matrix(observations);
            int n = Matrix(actions).Rows;
            double[] splits = RowNumbers(indices);
            int episodes = splits.Length + 1;
            if (all != n + episodes) throw new DatasetException($"{table.Path}: {observations} has {all} rows, expected {n + episodes}: one for each of {n} actions and one more for each of {episodes} episodes");
            var (space, actionSize, acts) = Actions(actions, n);
            float[] states = table.Read(observations);
            var ends = Starts([0, .. splits], n, indices);
            ends[n - 1] = true;
            bool[]? ended = Find("terminals") is { } t ? Array.ConvertAll(Column(t, episodes), v => v != 0) : null;
            var (terminals, own, next) = (new bool[n], new float[n * size], new float[n * size]);
            int episode = 0;
            for (int i = 0; i < n; i++)
            {
                states.AsSpan((i + episode) * size, size).CopyTo(own.AsSpan(i * size));
                states.AsSpan((i + episode + 1) * size, size).CopyTo(next.AsSpan(i * size));
                if (!ends[i]) continue;
                terminals[i] = ended?[episode] ?? false;
                episode++;
            }
            if (ended is not null) _notes.Add("terminal says that an episode was complete, in this layout also by a time limit");
            return new Dataset
            {
                Source = table.Path,
                Layout = "imitation",
                ObservationSize = size,
                ActionSize = actionSize,
                ActionSpace = space,
                Observations = own,
                Actions = acts,
                Rewards = Find("rewards") is { } r ? Column(r, n) : NoRewards(n),
                Terminals = terminals,
                Timeouts = Array.ConvertAll(Enumerable.Range(0, n).ToArray(), i => ends[i] && !terminals[i]),
                Ends = ends,
                NextObservations = next,
                Notes = _notes,
            };
        }

        /// <summary>A row at the end of an episode without action and reward is its last state (coach): it says what followed, and goes.</summary>
        private Dataset DropBlankRows(Dataset data)
        {
            bool Blank(int i) => float.IsNaN(data.Rewards[i]) && float.IsNaN(data.Actions[i * data.ActionSize]);
            var blank = Enumerable.Range(0, data.Count).Where(Blank).ToArray();
            if (blank.Length == 0 || data.NextObservations is not null) return data;
            var next = new float[data.Observations.Length];
            data.Observations.AsSpan(data.ObservationSize).CopyTo(next);
            var (terminals, timeouts, ends) = ((bool[])data.Terminals.Clone(), (bool[])data.Timeouts.Clone(), (bool[])data.Ends.Clone());
            foreach (int i in blank)
            {
                if (!ends[i] || i == 0 || ends[i - 1]) throw new DatasetException($"{table.Path}: row {i} has no action and no reward but is not the last of its episode");
                ends[i - 1] = true;
                (terminals[i - 1], timeouts[i - 1]) = (terminals[i], !terminals[i]);
            }
            var kept = Enumerable.Range(0, data.Count).Where(i => !Blank(i)).ToArray();
            _notes.Add($"{blank.Length} rows at the end of an episode have no action and no reward: they are its last state");
            float[] Pick(float[] values, int width) => kept.SelectMany(i => values.AsSpan(i * width, width).ToArray()).ToArray();
            bool[] PickFlags(bool[] values) => Array.ConvertAll(kept, i => values[i]);
            // A row without a blank one behind it keeps its successor from the next row, as long as that belongs to its episode.
            for (int i = 0; i < data.Count; i++)
                if (ends[i] && !Blank(i) && !(i + 1 < data.Count && Blank(i + 1))) data.Observations.AsSpan(i * data.ObservationSize, data.ObservationSize).CopyTo(next.AsSpan(i * data.ObservationSize));
            return data with
            {
                Observations = Pick(data.Observations, data.ObservationSize),
                Actions = Pick(data.Actions, data.ActionSize),
                Rewards = Pick(data.Rewards, 1),
                Terminals = PickFlags(terminals),
                Timeouts = PickFlags(timeouts),
                Ends = PickFlags(ends),
                NextObservations = Pick(next, data.ObservationSize),
                Notes = _notes,
            };
        }

        public (int Rows, int Columns) Matrix(string name)
        {
            var shape = table.Shape(name);
            if (shape.Length == 1 && shape[0] >= 1) return (Rows(shape[0], name), 1);
            if (shape.Length != 2 || shape[0] < 1 || shape[1] < 1 || shape[1] > 1 << 20) throw new DatasetException($"{table.Path}: {name} has shape [{string.Join(",", shape)}], expected [rows, components]");
            return (Rows(shape[0], name), (int)shape[1]);
        }

        private int Rows(long rows, string name) => rows <= int.MaxValue / 8 ? (int)rows : throw new DatasetException($"{table.Path}: {name} has {rows} rows, more than fit in memory as one dataset");

        private (ActionSpace? Space, int Size, float[] Values) Actions(string name, int n)
        {
            var (rows, size) = Matrix(name);
            if (rows != n) throw new DatasetException($"{table.Path}: {name} has {rows} rows, expected {n}");
            float[] values = table.Read(name);
            bool discrete = size == 1 && (table.IsInteger(name) || (table.Contains("discrete_action") && table.Read("discrete_action").FirstOrDefault() != 0));
            return (discrete ? Discrete(values, table.Path, name) : null, size, values);
        }

        private float[] Column(string name, int n)
        {
            var shape = table.Shape(name);
            if (shape.Length is not (1 or 2) || shape[0] != n || (shape.Length == 2 && shape[1] != 1)) throw new DatasetException($"{table.Path}: {name} has shape [{string.Join(",", shape)}], expected [{n}] or [{n},1]");
            return table.Read(name);
        }

        private bool[]? Flags(string quantity, int n) => Find(quantity) is { } name ? Array.ConvertAll(Column(name, n), v => v != 0 && !float.IsNaN(v)) : null;

        private float[] NoRewards(int n)
        {
            _notes.Add("no rewards are stored: all are 0");
            return new float[n];
        }

        private double[] RowNumbers(string name) => table.Shape(name) is [_] or [_, 1] ? table.ReadExact(name)
            : throw new DatasetException($"{table.Path}: {name} has shape [{string.Join(",", table.Shape(name))}], expected [trajectories]");

        /// <summary>Trajectory ends from the numbers of first rows.</summary>
        private bool[] Starts(double[] starts, int n, string name)
        {
            var ends = new bool[n];
            for (int i = 0; i < starts.Length; i++)
            {
                if (starts[i] != Math.Truncate(starts[i]) || starts[i] < 0 || starts[i] >= n || (i > 0 && starts[i] <= starts[i - 1])) throw new DatasetException($"{table.Path}: {name}, entry {i} is {starts[i]}: expected rising row numbers below {n}");
                if (starts[i] > 0) ends[(int)starts[i] - 1] = true;
            }
            return ends;
        }

        private static void CutAt(int limit, bool[] terminals, bool[] timeouts)
        {
            int length = 0;
            for (int i = 0; i < terminals.Length; i++)
            {
                length++;
                if (!terminals[i] && length < limit) continue;
                timeouts[i] = !terminals[i];
                length = 0;
            }
        }
    }

    /// <summary>The space of indices 0 to the largest found.</summary>
    internal static DiscreteActions Discrete(float[] values, string path, string name)
    {
        float most = 0;
        for (int i = 0; i < values.Length; i++)
        {
            if (float.IsNaN(values[i])) continue; // a blank row, which is dropped
            if (values[i] < 0 || values[i] > 1 << 20 || values[i] != MathF.Truncate(values[i])) throw new DatasetException($"{path}: {name}, row {i} is {values[i]}: expected the index of a discrete action");
            most = Math.Max(most, values[i]);
        }
        return new DiscreteActions(Math.Max(2, (int)most + 1));
    }
}
