using System.Globalization;
using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

public sealed class WriterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-writers").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    private string In(string name) => Path.Combine(_folder, name);

    private static void Equal(Dataset expected, Dataset actual)
    {
        Assert.Equal(expected.Observations, actual.Observations);
        Assert.Equal(expected.Actions, actual.Actions);
        Assert.Equal(expected.Rewards, actual.Rewards);
        Assert.Equal(expected.Terminals, actual.Terminals);
        Assert.Equal(expected.Timeouts, actual.Timeouts);
        Assert.Equal(expected.Ends, actual.Ends);
        Assert.Equal(expected.NextObservations, actual.NextObservations);
    }

    [Theory]
    [InlineData("builtin:pendulum,rows=1000")]
    [InlineData("builtin:cartpole,rows=1000")]
    [InlineData("builtin:mountaincar-continuous,rows=3000")]
    [InlineData("builtin:maze2d-umaze,rows=1000")]
    public void Written_datasets_are_read_again(string source)
    {
        var data = Dataset.Load(source);
        DatasetWriter.Write(data, In("a.hdf5"));
        var hdf5 = Dataset.Load(In("a.hdf5"));
        Equal(data, hdf5);
        Assert.Equal(data.Environment, hdf5.Environment);
        Assert.Equal(data.ActionSpace, hdf5.ActionSpace);
        DatasetWriter.Write(data, In("a.npz"));
        Equal(data, Dataset.Load(In("a.npz")));
        Assert.Equal(TransitionDataset.From(data, data.ActionSpace).Fingerprint, TransitionDataset.From(Dataset.Load(In("a.npz")), data.ActionSpace).Fingerprint);
        Assert.Contains(".parquet", Assert.Throws<SettingsException>(() => DatasetWriter.Write(data, In("a.parquet"))).Message, StringComparison.Ordinal);
    }

    [DataTheory]
    [InlineData("d3rlpy-classic/cartpole_v1.1.0.h5")]
    [InlineData("layout-samples/minari-pendulum")]
    [InlineData("layout-samples/pendulum_d3rlpy_v2.1.h5")]
    [InlineData("layout-samples/pendulum_neorl.npz")]
    [InlineData("layout-samples/pendulum_csv.csv")]
    [InlineData("coach-acrobot/acrobot_dataset.csv")]
    [InlineData("imitation-expert/cartpole_0_final.npz")]
    public void Every_layout_converts_to_D4RL(string file)
    {
        var data = Dataset.Load(SharedData.Path("data/" + file));
        DatasetWriter.Write(data, In("a.hdf5"));
        Equal(data, Dataset.Load(In("a.hdf5")));
    }

    [Fact]
    public void Shards_hold_every_transition_and_the_same_statistics()
    {
        var data = TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=1000"), null);
        ShardedDataset.Write([data], In("p.shards"), 300);
        var shards = (ShardedDataset)TrainingData.Load(In("p.shards"));
        Assert.Equal((4, data.Count, 300, data.ActionSpace), (shards.Shards, shards.Count, shards.Shard(0).Transitions.Length, shards.ActionSpace));
        Assert.Equal(data.Observations, Enumerable.Range(0, 4).SelectMany(i => shards.Shard(i).AtTransitions("observations")));
        Assert.Equal(data.Terminals, Enumerable.Range(0, 4).SelectMany(i => shards.Shard(i).AtTransitions("terminals")));
        Assert.Equal(data.ObservationStatistics().Std, shards.ObservationStatistics().Std);
        Assert.Equal(data.Returns, shards.Returns);
        Assert.NotEqual(data.Fingerprint, shards.Fingerprint);
        Assert.Throws<SettingsException>(() => ShardedDataset.Write([data], In("p.shards"), 300)); // is there already
        File.Delete(Path.Combine(In("p.shards"), "shard-00002.safetensors"));
        Assert.Contains("shard-00002", Assert.Throws<DatasetException>(() => shards.Shard(2)).Message, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(In("p.shards"), "index.json"), "{\"format\": 1}");
        Assert.Contains("not an index", Assert.Throws<DatasetException>(() => TrainingData.Load(In("p.shards"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_are_joined_as_if_they_were_one()
    {
        var (a, b) = (TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=1000"), null), TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=600,seed=4"), null));
        ShardedDataset.Write([a, b], In("two.shards"), 400);
        var both = ShardedDataset.Open(In("two.shards"));
        Assert.Equal((a.Count + b.Count, 5), (both.Count, both.Shards)); // 995 and 597 rows
        var all = a.Observations.Concat(b.Observations).Select((v, i) => (v, i)).ToArray();
        for (int j = 0; j < 3; j++)
        {
            var column = all.Where(p => p.i % 3 == j).Select(p => (double)p.v).ToArray();
            double mean = column.Average();
            Assert.Equal(mean, both.ObservationStatistics().Mean[j], 1e-12);
            Assert.Equal(Math.Sqrt(column.Average(v => (v - mean) * (v - mean))), both.ObservationStatistics().Std[j], 1e-12);
        }
        Assert.Equal(a.EpisodeReturns.Concat(b.EpisodeReturns).Average(), both.Returns.Mean, 1e-9);
        var cart = TransitionDataset.From(Dataset.Load("builtin:cartpole,rows=100"), null);
        Assert.Contains("expected 3", Assert.Throws<DatasetException>(() => ShardedDataset.Write([a, cart], In("mixed.shards"), 400)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(In("mixed.shards")));
    }

    private static byte[] Train(TrainingData data, int steps, string? run, bool resume = false)
    {
        using var device = new CpuDevice();
        using var trainer = new Trainer(new RunConfig
        {
            Algorithm = "bc",
            Settings = SettingsJson.With(AlgorithmCatalogue.Find("bc").Defaults, [KeyValuePair.Create("hidden_sizes", SettingsJson.ParseValue("[8]")), KeyValuePair.Create("batch_size", SettingsJson.ParseValue("16"))]),
            Dataset = data.Source,
            Steps = steps,
            EvaluateEvery = 0,
            ShardUpdates = 7,
            LogEvery = 5,
            CheckpointEvery = 10,
        }, data, device, run, resume);
        trainer.Run(null, CancellationToken.None);
        return trainer.State.Variables.Where(v => v.Kind != VariableKind.Data).SelectMany(v => trainer.State.ReadBytes(v.Name)).ToArray();
    }

    [Fact]
    public void Training_on_shards_resumes_byte_for_byte_and_sees_all_of_them()
    {
        var data = TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=1000"), null);
        ShardedDataset.Write([data], In("p.shards"), 300);
        var shards = TrainingData.Load(In("p.shards"));
        var whole = Train(shards, 40, null);
        Train(shards, 20, In("run")); // swaps at 7, 14, 21, ...: the checkpoint lies between two
        Assert.Equal(whole, Train(shards, 40, In("run"), resume: true));
        Assert.NotEqual(whole, Train(data, 40, null));

        var seen = new HashSet<int>();
        for (int step = 0; step < 40; step++)
        {
            using var device = new CpuDevice();
            using var state = new State(device);
            var resident = new ResidentRows("offline", shards, state, new RewardTransform(), 3, 7);
            var graph = new Graph();
            _ = (resident.Table(graph, "rewards"), resident.Count(graph));
            resident.MakeResident(step);
            var rewards = state.Read("data.offline.rewards");
            var counts = state.ReadInts("data.offline.counts");
            for (int i = 0; i < 4; i++)
            {
                var shard = shards.Shard(i);
                for (int slot = 0; slot < 2; slot++)
                    if (counts[slot] == shard.Transitions.Length && rewards.AsSpan(slot * shards.LargestTable, shard.Rows).SequenceEqual((float[])shard["rewards"])) seen.Add(i);
            }
        }
        Assert.Equal([0, 1, 2, 3], seen.Order());
    }

    [Fact]
    public void Rewards_are_shifted_and_scaled()
    {
        var data = TransitionDataset.From(Dataset.Load("builtin:pendulum,rows=1000"), null);
        var rewards = data.Rewards;
        Assert.Same(rewards, RewardTransform.Parse(null).Apply(rewards, data));
        Assert.Equal(Array.ConvertAll(data.Rewards, r => (float)(((double)r - 1) * 0.5)), RewardTransform.Parse("shift=-1,scale=0.5").Apply(data.Rewards, data));
        double range = data.Returns.Max - data.Returns.Min;
        Assert.Equal((float)(data.Rewards[5] * (1000 / range)), RewardTransform.Parse("return-range").Apply(data.Rewards, data)[5]);
        Assert.Throws<SettingsException>(() => RewardTransform.Parse("scale"));
        Assert.Contains("scale", Assert.Throws<SettingsException>(() => RewardTransform.Parse("scael=2")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("maze2d-umaze-v1", 23.85, 161.86)]
    [InlineData("maze2d-umaze-dense-v1", 68.537689, 193.66285642381482)]
    [InlineData("hopper-medium-v2", -20.272305, 3234.3)]
    [InlineData("antmaze-umaze-v2", 0, 1)]
    [InlineData("ant-medium-v2", -325.6, 3879.7)]
    [InlineData("Pendulum-v1", -1230, -150)]
    public void References_are_found_by_the_longest_name(string id, double min, double max) => Assert.Equal((min, max), NormalizedScores.Find(id));

    [Fact]
    public void An_inspection_names_problems_by_row()
    {
        File.WriteAllText(In("a.csv"), "obs_0,obs_1,next_obs_0,next_obs_1,action,reward,done\n1,9,2,9,0.5,1,0\n2,9,7,9,3.5,1,0\n3,9,4,9,0.25,1,1\n");
        var inspection = DatasetInspection.Of(In("a.csv"), "MountainCarContinuous-v0", new DatasetOptions());
        Assert.Contains(inspection.Problems, p => p.Contains("outside their bounds: 1 rows (1)", StringComparison.Ordinal));
        Assert.Contains(inspection.Problems, p => p.Contains("shuffled): 1 rows (1)", StringComparison.Ordinal));
        Assert.Contains(inspection.Problems, p => p.Contains("observation 1 is 9", StringComparison.Ordinal));
        Assert.Null(NormalizedScores.Find("nothing-v0"));
        Assert.Equal(3, inspection.MedianLength);
    }

    // ---- damaged files ----

    private static byte[] Flat(string name, Action<string> write)
    {
        string path = Path.Combine(Path.GetTempPath(), $"engine-{Guid.NewGuid():N}{name}");
        try
        {
            write(path);
            return File.ReadAllBytes(path);
        }
        finally { File.Delete(path); }
    }

    private static byte[] Sound(string layout)
    {
        float[] o = Enumerable.Range(0, 12).Select(i => i * 0.5f).ToArray(), r = [1, 2, 3, 4, 5, 6];
        switch (layout)
        {
            case "d4rl.hdf5": return Flat(".hdf5", p => DatasetWriter.Write(Dataset.Load("builtin:pendulum,rows=6"), p));
            case "d3rlpy1.h5":
                return Flat(".h5", p => Hdf5Writer.Write(p, [Hdf5Column.From("observations", [6, 2], o), Hdf5Column.From("actions", [6, 1], r), Hdf5Column.From("rewards", [6], r), Hdf5Column.From("terminals", [6], [0f, 0, 1, 0, 0, 0]),
                    Hdf5Column.From("episode_terminals", [6], [0f, 0, 1, 0, 0, 1]), Hdf5Column.From("discrete_action", [], [0])]));
            case "d3rlpy2.h5":
                return Flat(".h5", p => Hdf5Writer.Write(p, [Hdf5Column.From("num_episodes", [], [1]), Hdf5Column.From("observations_0", [6, 2], o), Hdf5Column.From("actions_0", [6, 1], r), Hdf5Column.From("rewards_0", [6, 1], r), Hdf5Column.From("terminated_0", [], [0])]));
            case "minari.hdf5":
                return Flat(".hdf5", p => Hdf5Writer.Write(p, [Hdf5Column.From("episode_0/observations/position", [4, 1], [1f, 2, 3, 4]), Hdf5Column.From("episode_0/observations/goal", [4, 2], new float[8]), Hdf5Column.From("episode_0/actions", [3, 1], [0f, 1, 0]),
                    Hdf5Column.From("episode_0/rewards", [3], [1.0, 2, 3]), Hdf5Column.From("episode_0/terminations", [3], [false, false, true]), Hdf5Column.From("episode_0/truncations", [3], new bool[3])]));
            case "neorl.npz":
                return Flat(".npz", p => NpzFile.Write(p, [NpyArray.From("obs", [6, 2], o), NpyArray.From("next_obs", [6, 2], o), NpyArray.From("action", [6, 1], r), NpyArray.From("reward", [6, 1], r), NpyArray.From("done", [6, 1], new float[6]), NpyArray.From("index", [2], new long[] { 0, 3 })]));
            default:
                return System.Text.Encoding.ASCII.GetBytes("episode,obs_0,obs_1,action_0,reward,terminal\n" + string.Concat(Enumerable.Range(0, 8).Select(i => string.Create(CultureInfo.InvariantCulture, $"{i / 4},{i * 0.5},{i},{0.1 * i},{-i},{(i == 3 ? 1 : 0)}\n"))));
        }
    }

    [Theory]
    [InlineData("d4rl.hdf5", 300)]
    [InlineData("d3rlpy1.h5", 300)]
    [InlineData("d3rlpy2.h5", 300)]
    [InlineData("minari.hdf5", 300)]
    [InlineData("neorl.npz", 300)]
    [InlineData("table.csv", 500)]
    public void Damaged_files_of_every_layout_are_read_or_refused(string layout, int cases)
    {
        var sound = Sound(layout);
        string path = In("case" + Path.GetExtension(layout));
        File.WriteAllBytes(path, sound);
        Assert.NotEmpty(TransitionDataset.From(Dataset.Load(path), null).Rewards);
        Fuzz.Run(cases, path, seed => new Mutator(seed).Mutate(sound), p => TransitionDataset.From(Dataset.Load(p), null), e => e is DatasetException or InteropFormatException);
    }

    [Fact]
    public void Nested_observations_are_joined_and_noted()
    {
        File.WriteAllBytes(In("m.hdf5"), Sound("minari.hdf5"));
        var data = Dataset.Load(In("m.hdf5"));
        Assert.Contains("goal (2), position (1)", Assert.Single(data.Notes), StringComparison.Ordinal);
        Assert.Equal([0f, 0, 1, 0, 0, 2, 0, 0, 3], data.Observations);
        Assert.Equal([0f, 0, 2, 0, 0, 3, 0, 0, 4], data.NextObservations!);
        Assert.Equal([false, false, true], data.Terminals);
    }

    [Fact]
    public void Shuffled_rows_keep_their_own_successors()
    {
        // OfflineMania: float64, flags as (N, 1), rows in any order.
        Hdf5Writer.Write(In("s.h5"), [Hdf5Column.From("observations", [3, 1], [5.0, 1, 3]), Hdf5Column.From("next_observations", [3, 1], [6.0, 2, 4]), Hdf5Column.From("actions", [3, 1], [0.5, 1.25, -2.0]), Hdf5Column.From("rewards", [3, 1], [1.0, 2, 3]),
            Hdf5Column.From("terminals", [3, 1], [0.0, 0, 1]), Hdf5Column.From("timeouts", [3, 1], [0.0, 1, 0])]);
        var data = TransitionDataset.From(Dataset.Load(In("s.h5")), ActionBounds.Unit(1));
        Assert.Equal([6f, 2, 4], data.NextObservations);
        Assert.Equal([0f, 0, 1], data.Terminals);
        Assert.Equal([0.5f, 1, -1], data.Actions);
        Assert.Contains(data.Notes, n => n.StartsWith("2 rows have actions outside", StringComparison.Ordinal));
    }
}
