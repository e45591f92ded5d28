using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests.Batches;

/// <summary>
/// Kinds of batches against a loop over recorded paths, of datasets with every kind of end (terminal, time limit, end of the file) and of rings whose older rows have made room. States are numbered, 1000 a path, so that a wrong row shows.
/// </summary>
public sealed class BatchKindTests
{
    private const double Discount = 0.9;

    private static readonly Spaces Spaces = new(2, ActionBounds.Unit(1), new GoalSpace(0));

    public static TheoryData<string> Sources => new("dataset", "stated successors", "ring", "full ring", "ring of one");

    /// <summary>A trajectory as it happened: one state more than actions, and what the table holds as the action after the last.</summary>
    private sealed record Journey(int Number)
    {
        public List<float[]> States { get; } = [];
        public List<float> Actions { get; } = [];
        public List<float> Rewards { get; } = [];
        public List<float> Terminals { get; } = [];
        public float After { get; set; }
        public int Length => Rewards.Count;

        public float[] NewState() => [1000 * Number + States.Count, -States.Count];

        public float ActionAt(int t) => t < Length ? Actions[t] : After;

        public void Step(PhiloxStream random, bool terminal)
        {
            Actions.Add((float)random.NextUniform(-1, 1));
            Rewards.Add((float)random.NextUniform(-1, 1));
            Terminals.Add(terminal ? 1 : 0);
        }
    }

    private sealed record Source(CpuDevice Device, State State, Rows Rows, SortedDictionary<int, (Journey Journey, int Step)> Places) : IDisposable
    {
        public Dictionary<string, float[]> Read(BatchKind kind, params string[] names) => Read(kind, Places.Keys.ToArray(), names);

        /// <summary>The columns of a batch of given rows.</summary>
        public Dictionary<string, float[]> Read(BatchKind kind, int[] at, params string[] names)
        {
            var columns = kind.Columns(Rows.Columns, Spaces).ToDictionary(c => c.Name);
            var generator = State.Variables.FirstOrDefault(v => v.Name == RandomDraws.StateName) ?? RandomDraws.AddState(State, 5);
            using var program = Program.Trace(State, graph =>
            {
                graph.Random.Use(generator);
                var read = kind.Read(new DrawnRows(Rows, graph.Constant(TensorType.Int([at.Length]), Array.ConvertAll(at, a => (double)a)), Spaces, "batch"));
                foreach (string name in names.Length > 0 ? names : [.. columns.Keys])
                {
                    var tensor = read(name);
                    Assert.Equal(columns[name].Rows(at.Length), tensor.Type);
                    graph.Output(name, tensor);
                }
                graph.Random.Advance();
            });
            program.Run();
            return program.Source.Outputs.Keys.ToDictionary(name => name, name => program.Read(name));
        }

        public void Dispose()
        {
            (Rows as IDisposable)?.Dispose();
            State.Dispose();
            Device.Dispose();
        }
    }

    private static Source Open(string name) => name switch
    {
        "dataset" => Resident(stated: false),
        "stated successors" => Resident(stated: true),
        "ring" => Ring(copies: 3, capacity: 90, steps: 20),
        "full ring" => Ring(copies: 3, capacity: 60, steps: 47),
        _ => Ring(copies: 1, capacity: 25, steps: 91),
    };

    private static Source Resident(bool stated)
    {
        var random = new PhiloxStream(3, "resident");
        var (journeys, flat) = (new List<Journey>(), new List<(Journey Journey, int Step, bool Terminal, bool Timeout)>());
        foreach (var (rows, terminal) in new[] { (5, true), (4, false), (1, true), (1, false), (30, false), (3, true), (2, true), (6, false) })
        {
            var journey = new Journey(journeys.Count + 1);
            journeys.Add(journey);
            for (int t = 0; t < rows; t++)
            {
                bool last = t == rows - 1;
                journey.States.Add(journey.NewState());
                journey.Step(random, last && terminal);
                flat.Add((journey, t, last && terminal, last && !terminal && journey.Number < 8)); // the last is cut by the end of the file
            }
            journey.States.Add(stated ? journey.NewState() : journey.States[^1]);
        }
        var next = stated ? flat.SelectMany(r => r.Journey.States[r.Step + 1]).ToArray() : null;
        var data = TransitionDataset.From(new Dataset
        {
            Source = "test",
            Layout = "test",
            ObservationSize = 2,
            ActionSize = 1,
            Observations = flat.SelectMany(r => r.Journey.States[r.Step]).ToArray(),
            Actions = flat.Select(r => r.Journey.Actions[r.Step]).ToArray(),
            Rewards = flat.Select(r => r.Journey.Rewards[r.Step]).ToArray(),
            Terminals = flat.Select(r => r.Terminal).ToArray(),
            Timeouts = flat.Select(r => r.Timeout).ToArray(),
            Ends = flat.Select((r, i) => r.Terminal || r.Timeout || i == flat.Count - 1).ToArray(),
            NextObservations = next,
        }, ActionBounds.Unit(1));
        if (!stated)
            foreach (var journey in journeys.Where(j => j.Terminals[^1] == 0))
            {
                // A row that is cut off is no transition, but shows what was seen last.
                journey.States.RemoveAt(journey.Length);
                journey.After = journey.Length > 1 ? journey.Actions[^1] : 0;
                journey.Actions.RemoveAt(journey.Length - 1);
                journey.Terminals.RemoveAt(journey.Length - 1);
                journey.Rewards.RemoveAt(journey.Length - 1);
            }
        var device = new CpuDevice();
        var state = new State(device);
        var places = new SortedDictionary<int, (Journey, int)>();
        int k = 0;
        foreach (var journey in journeys)
            for (int t = 0; t < journey.Length; t++) places[data.Table.Transitions[k++]] = (journey, t);
        Assert.Equal(data.Count, k);
        return new Source(device, state, new ResidentRows("offline", data, state, RewardTransform.Parse(null), 0, 1), places);
    }

    private static Source Ring(int copies, int capacity, int steps)
    {
        var random = new PhiloxStream(4, "ring");
        var device = new CpuDevice();
        var state = new State(device);
        var ring = new ReplayBuffer("online", state, Spaces, capacity, copies);
        var (journeys, all) = (new Journey[copies], 0);
        var places = new SortedDictionary<int, (Journey, int)>();
        for (int step = 0; step < steps; step++)
        {
            var ends = new bool[copies];
            for (int copy = 0; copy < copies; copy++)
            {
                var journey = journeys[copy] ??= new Journey(++all);
                if (journey.States.Count == 0) journey.States.Add(journey.NewState());
                // Time limits at 12 rows, and of one copy none: its episode outgrows the ring.
                bool terminal = copy != 1 && random.NextInt(6) == 0;
                ends[copy] = terminal || (copy != 1 && journey.Length == 11);
                places[(step * copies + copy) % ring.Capacity] = (journey, journey.Length);
                journey.Step(random, terminal);
                journey.States.Add(journey.NewState());
            }
            float[] Of(Func<Journey, IEnumerable<float>> of) => journeys.SelectMany(of).ToArray();
            ring.Append(step, Of(j => j.States[^2]), Of(j => [j.Actions[^1]]), Of(j => [j.Rewards[^1]]), Of(j => [j.Terminals[^1]]), Of(j => j.States[^1]), ends);
            for (int copy = 0; copy < copies; copy++)
                if (ends[copy]) journeys[copy] = null!;
        }
        return new Source(device, state, ring, places);
    }

    /// <summary>Compares the columns of a batch of every row with what a function of path, row and name says.</summary>
    private static void Check(Source source, BatchKind kind, Func<Journey, int, string, IEnumerable<float>> expected)
    {
        foreach (var (name, values) in source.Read(kind))
        {
            var wanted = source.Places.Values.SelectMany(p => expected(p.Journey, p.Step, name)).ToArray();
            Assert.Equal(wanted.Length, values.Length);
            for (int i = 0; i < wanted.Length; i++) Assert.True(Math.Abs(wanted[i] - values[i]) <= 1e-5 * Math.Max(1, Math.Abs(wanted[i])), $"{kind}: {name}[{i}] is {values[i]}, expected {wanted[i]}");
        }
    }

    private static IEnumerable<float> Row(Journey journey, int t, string name) => name switch
    {
        "observations" => journey.States[t],
        "next_observations" => journey.States[t + 1],
        "actions" => [journey.ActionAt(t)],
        "next_actions" => [journey.ActionAt(t + 1)],
        "rewards" => [journey.Rewards[t]],
        "terminals" => [journey.Terminals[t]],
        _ => throw new InvalidOperationException(name),
    };

    [Theory, MemberData(nameof(Sources))]
    public void Transitions_and_sequences_are_rows(string name)
    {
        using var source = Open(name);
        Check(source, new Transitions(), Row);
        Check(source, new Sequences(), Row);
    }

    [Theory, MemberData(nameof(Sources))]
    public void Steps_stop_at_ends(string name)
    {
        using var source = Open(name);
        foreach (int h in new[] { 1, 2, 5, 40 })
            Check(source, new NStep(h, Discount), (journey, t, column) =>
            {
                int n = Math.Min(h, journey.Length - t), last = t + n - 1;
                return column switch
                {
                    "rewards" => [(float)Enumerable.Range(0, n).Sum(k => Math.Pow(Discount, k) * journey.Rewards[t + k])],
                    "discounts" => [(float)(Math.Pow(Discount, n) * (1 - journey.Terminals[last]))],
                    "steps" => [n],
                    "observations" or "actions" => Row(journey, t, column),
                    _ => Row(journey, last, column),
                };
            });
    }

    [Theory, MemberData(nameof(Sources))]
    public void One_step_is_a_transition(string name)
    {
        using var source = Open(name);
        var transitions = source.Read(new Transitions());
        foreach (var (kind, columns) in new (BatchKind, string[])[]
        {
            (new NStep(1, Discount), [.. transitions.Keys]), (new Windows(1), ["observations", "actions", "rewards", "terminals", "next_observations"]), (new Chunks(1), ["observations", "actions", "rewards", "terminals", "next_observations"]),
        })
            foreach (var (column, values) in source.Read(kind, columns)) Assert.Equal(transitions[column], values);
    }

    [Theory, MemberData(nameof(Sources))]
    public void Windows_stay_in_their_trajectory(string name)
    {
        using var source = Open(name);
        foreach (int h in new[] { 1, 3, 33 })
            Check(source, new Windows(h), (journey, t, column) => Enumerable.Range(t, h).SelectMany(k => column == "valid" ? [k < journey.Length ? 1 : 0] : Row(journey, Math.Min(k, journey.Length - 1), column)));
    }

    [Theory, MemberData(nameof(Sources))]
    public void Chunks_are_padded_after_the_end(string name)
    {
        using var source = Open(name);
        foreach (int h in new[] { 1, 4, 33 })
            Check(source, new Chunks(h), (journey, t, column) => column switch
            {
                "observations" => Row(journey, t, column),
                "next_observations" => journey.States[Math.Min(t + h, journey.Length)],
                "terminals" => Enumerable.Range(t, h).Select(k => journey.Terminals[Math.Min(k, journey.Length - 1)]),
                "valid" => Enumerable.Range(t, h).Select(k => k < journey.Length ? 1f : 0f),
                _ => Enumerable.Range(t, h).SelectMany(k => k < journey.Length ? Row(journey, k, column) : [0]),
            });
    }

    [Theory, MemberData(nameof(Sources))]
    public void Transitions_as_numbers_have_their_parts(string name)
    {
        using var source = Open(name);
        Check(source, new TransitionRows(), (journey, t, _) => TransitionRows.Order.SelectMany(c => Row(journey, t, c.After == 0 ? c.Column : "next_" + c.Column)));
    }

    [Theory, MemberData(nameof(Sources))]
    public void Plans_end_with_zeros_and_have_returns(string name)
    {
        using var source = Open(name);
        foreach (var (h, n) in new[] { (1, 1), (4, 33), (33, 3) })
            Check(source, new Plans(h, n, Discount, -7), (journey, t, column) => column == "trajectories"
                ? Enumerable.Range(t, h).SelectMany(k => k < journey.Length ? [.. Row(journey, k, "actions"), .. Row(journey, k, "observations")] : new float[3])
                : [(float)Enumerable.Range(t, Math.Min(n, journey.Length - t)).Sum(k => Math.Pow(Discount, k - t) * (journey.Rewards[k] - 7 * journey.Terminals[k]))]);
    }

    [Theory, InlineData("dataset"), InlineData("stated successors")]
    public void Episodes_begin_at_the_first_row(string name)
    {
        using var source = Open(name);
        foreach (int h in new[] { 2, 40 })
            Check(source, new Episodes(h), (journey, _, column) => Enumerable.Range(0, h).SelectMany(k => column == "valid" ? [k < journey.Length ? 1 : 0] : Row(journey, Math.Min(k, journey.Length - 1), column)));
    }

    [Fact]
    public void Rings_have_no_whole_episodes()
    {
        using var source = Open("ring");
        Assert.Contains("online", Assert.Throws<SettingsException>(() => source.Read(new Episodes(3))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dataset")]
    [InlineData("stated successors")]
    public void Neighbours_are_states_around_a_row_and_around_the_next(string name)
    {
        using var source = Open(name);
        foreach (int past in new[] { 0, 2 })
        {
            IEnumerable<float> Around(Journey journey, int t) => Enumerable.Range(t - past, past + 2).SelectMany(k => k < 0 ? [0, 0] : journey.States[k]);
            Check(source, new Neighbours(past, new Transitions()), (journey, t, column) => column switch
            {
                "states" => Around(journey, t),
                "next_states" => Around(journey, Math.Min(t + 1, journey.Length - 1)),
                "has_next" => [t + 1 < journey.Length ? 1 : 0],
                _ => Row(journey, t, column),
            });
        }
    }

    /// <summary>Draws of goals or partners of one row, counted by state, against chances.</summary>
    private static void CheckCounts(Source source, Dictionary<float, double> chances, float[] drawn)
    {
        double statistic = 0;
        int cells = -1;
        foreach (float value in drawn.Distinct()) Assert.True(chances.GetValueOrDefault(value) > 0, $"state {value} has no chance");
        var (small, seen) = (0.0, 0);
        foreach (var (value, chance) in chances)
        {
            double expected = chance * drawn.Length;
            int count = drawn.Count(d => d == value);
            if (expected < 5)
            {
                small += expected;
                seen += count;
                continue;
            }
            statistic += (count - expected) * (count - expected) / expected;
            cells++;
        }
        if (small >= 5)
        {
            statistic += (seen - small) * (seen - small) / small;
            cells++;
        }
        if (cells == 0) return;
        // Wilson and Hilferty 1931: the 99.9% quantile.
        double limit = cells * Math.Pow(1 - 2.0 / (9 * cells) + 3.09 * Math.Sqrt(2.0 / (9 * cells)), 3);
        Assert.True(statistic < limit, $"chi-squared {statistic:F1} of {cells} degrees of freedom, expected below {limit:F1}");
    }

    private static void Add(Dictionary<float, double> chances, float state, double chance) => chances[state] = chances.GetValueOrDefault(state) + chance;

    /// <summary>Rows with much, some and nothing but one transition left.</summary>
    private static int[] Samples(Source source)
    {
        var places = source.Places.ToArray();
        return [places.MaxBy(p => p.Value.Journey.Length - p.Value.Step).Key, places.First(p => p.Value.Journey.Length - p.Value.Step == 3).Key, places.First(p => p.Value.Journey.Length - p.Value.Step == 1).Key];
    }

    [Theory, MemberData(nameof(Sources))]
    public void Goals_have_their_shares_and_distances(string name)
    {
        const int Draws = 20_000;
        using var source = Open(name);
        foreach (var mix in new GoalMix[] { new(0.2, 0.5, 0.3, 0.8), new(0, 1, 0, null), new(0, 0.625, 0.375, 0.9), new(1, 0, 0, null), new(0, 0, 1, null), new(0.3, 0.7, 0, 0.5) })
            foreach (int at in Samples(source))
            {
                var (journey, t) = source.Places[at];
                int left = journey.Length - t;
                var chances = new Dictionary<float, double>();
                if (mix.Own > 0) Add(chances, journey.States[t][0], mix.Own);
                for (int k = 1; k <= left; k++)
                {
                    double chance = mix.Discount is not { } d ? 1.0 / left : k < left ? (1 - d) * Math.Pow(d, k - 1) : Math.Pow(d, k - 1);
                    if (mix.Future > 0) Add(chances, journey.States[t + k][0], mix.Future * chance);
                }
                if (mix.Random > 0)
                    foreach (var (other, step) in source.Places.Values) Add(chances, other.States[step][0], mix.Random / source.Places.Count);
                var batch = source.Read(new Goals(mix), Enumerable.Repeat(at, Draws).ToArray(), "goals", "at_goal");
                CheckCounts(source, chances, batch["goals"]);
                for (int i = 0; i < Draws; i++) Assert.Equal(batch["goals"][i] == journey.States[t][0] ? 1 : 0, batch["at_goal"][i]);
            }
    }

    [Theory, MemberData(nameof(Sources))]
    public void Pairs_are_of_one_trajectory(string name)
    {
        const int Draws = 20_000;
        using var source = Open(name);
        foreach (int at in Samples(source))
        {
            var (journey, t) = source.Places[at];
            int left = journey.Length - t;
            var chances = new Dictionary<float, double>();
            for (int k = 1; k <= left; k++)
            {
                Add(chances, k, 0.5 / left);
                Add(chances, -k, 0.5 / left);
            }
            var batch = source.Read(new Pairs(), Enumerable.Repeat(at, Draws).ToArray());
            CheckCounts(source, chances, batch["distance"]);
            for (int i = 0; i < Draws; i++)
            {
                int distance = (int)batch["distance"][i], first = distance > 0 ? t : t - distance, second = first + distance;
                Assert.Equal(journey.States[first], batch["first_observations"].AsSpan(2 * i, 2).ToArray());
                Assert.Equal(journey.States[second], batch["second_observations"].AsSpan(2 * i, 2).ToArray());
                Assert.Equal(journey.ActionAt(first), batch["first_actions"][i]);
                Assert.Equal(journey.ActionAt(second), batch["second_actions"][i]);
            }
        }
    }

    [Fact]
    public void Shares_that_are_none_are_refused()
    {
        Assert.Throws<SettingsException>(() => new GoalMix(0.5, 0.2, 0.2, null).Validate());
        Assert.Throws<SettingsException>(() => new GoalMix(-0.5, 1.5, 0, null).Validate());
        Assert.Throws<SettingsException>(() => new GoalMix(0, 1, 0, 1).Validate());
    }
}
