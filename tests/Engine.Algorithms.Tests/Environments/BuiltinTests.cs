using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Environments.Grids;

namespace Engine.Algorithms.Tests;

public class BuiltinTests
{
    /// <summary>Sines and logarithms are the C library's, so exact bytes are stated for one of them.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    private sealed class GlibcTheoryAttribute : TheoryAttribute
    {
        public GlibcTheoryAttribute()
        {
            if (!OperatingSystem.IsLinux() || !Fma.X64.IsSupported || RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal))
                Skip = "the bytes are stated for glibc on x64 with FMA";
        }
    }

    [GlibcTheory]
    [InlineData("pendulum", "c725e75a40e29448")]
    [InlineData("cartpole", "7df8bafae6b74420")]
    [InlineData("mountaincar-continuous", "d9b335a0c14a2eb0")]
    [InlineData("maze2d-umaze", "397695ed27b6c824")]
    [InlineData("maze2d-medium", "5fbf3cee82e8baf1")]
    [InlineData("maze2d-large", "f1a4a45ea85c2fb0")]
    [InlineData("maze2d-open", "cecbe078e65c5b10")]
    public void Published_results_rest_on_these_bytes(string name, string fingerprint)
    {
        Assert.Equal(fingerprint, TransitionDataset.From(Dataset.Load("builtin:" + name), null).Fingerprint[..16]);
    }

    [Fact]
    public void Every_entry_makes_what_it_says()
    {
        Assert.Equal(29 + GridTask.All.Count, BuiltinDatasets.All.Count);
        foreach (var entry in BuiltinDatasets.All)
        {
            var environment = EnvironmentCatalogue.Find(entry.Environment).Create(1);
            Assert.Equal(entry.Name switch
            {
                "two-modes" => 10_000,
                "maze2d-open-left" or "maze2d-open-right" => 30_000,
                var name when name.StartsWith("maze2d", StringComparison.Ordinal) => name.EndsWith("expert", StringComparison.Ordinal) ? 100 * environment.MaxSteps : 1_000_000,
                _ => 100_000,
            }, entry.Rows);
            foreach (int rows in new[] { 2, 777, 1600 })
            {
                var data = BuiltinDatasets.Load($"builtin:{entry.Name},seed=3,rows={rows}");
                Assert.Equal((rows, entry.Environment, environment.ActionSpace), (data.Count, data.Environment, data.ActionSpace));
                Assert.Equal((rows * environment.ObservationSize, rows * environment.ActionSpace.Size), (data.Observations.Length, data.Actions.Length));
                Assert.True(data.Ends[^1]);
                for (int i = 0; i + 1 < rows; i++)
                {
                    Assert.False(data.Terminals[i] && data.Timeouts[i]);
                    Assert.Equal(data.Terminals[i] || data.Timeouts[i], data.Ends[i]);
                }
                var transitions = TransitionDataset.From(data, environment.ActionSpace);
                Assert.DoesNotContain(transitions.Notes, note => note.Contains("clipped", StringComparison.Ordinal));
            }
        }
    }

    /// <summary>Good, middling and useless episodes in each: shares of the recorded episodes below and above a return.</summary>
    [Theory]
    [InlineData("cartpole", 25, 450)]
    [InlineData("mountaincar-continuous", 0, 93)]
    [InlineData("pendulum", -1300, -400)]
    public void Quality_is_mixed(string name, double poor, double good)
    {
        double[] returns = TransitionDataset.From(Dataset.Load("builtin:" + name), null).EpisodeReturns;
        double low = returns.Count(r => r < poor) / (double)returns.Length, high = returns.Count(r => r > good) / (double)returns.Length;
        Assert.True(low > 0.1 && high > 0.1 && low + high < 0.95, $"{name}: {low:P0} of {returns.Length} episodes are below {poor}, {high:P0} above {good}");
    }

    [Fact]
    public void CartPole_and_MountainCar_rows_are_the_environments()
    {
        foreach (string name in new[] { "cartpole", "mountaincar-continuous" })
        {
            var data = Dataset.Load($"builtin:{name},rows=20000");
            var environment = (StateEnvironment)EnvironmentCatalogue.Find(data.Environment!).Create(1);
            int s = environment.ObservationSize;
            var (rewards, terminals, seen) = (new float[1], new bool[1], new float[s]);
            for (int i = 0; i < data.Count; i++)
            {
                for (int j = 0; j < s; j++) environment.State(0)[j] = data.Observations[s * i + j];
                environment.Step(data.Actions.AsSpan(i, 1), rewards, terminals);
                environment.Observe(seen);
                Assert.Equal(data.Rewards[i], rewards[0]);
                for (int j = 0; j < s; j++) Assert.Equal(data.NextObservations![s * i + j], seen[j], 1e-6);
                if (!data.Ends[i])
                    for (int j = 0; j < s; j++) Assert.Equal(data.NextObservations![s * i + j], data.Observations[s * (i + 1) + j]);
            }
            Assert.Contains(true, data.Terminals);
            Assert.Contains(true, data.Timeouts);
        }
    }

    [Fact]
    public void Two_modes_are_both_demonstrated_and_their_mean_earns_nothing()
    {
        var data = Dataset.Load("builtin:two-modes");
        var environment = new TwoModes(1);
        var (rewards, terminals, measures) = (new float[1], new bool[1], new float[2]);
        int upper = 0;
        for (int i = 0; i < data.Count; i++)
        {
            double x = data.Observations[i];
            environment.State(0)[0] = x;
            environment.Step(data.Actions.AsSpan(i, 1), rewards, terminals);
            environment.Measure(measures);
            Assert.True(terminals[0] && data.Terminals[i]);
            Assert.Equal(rewards[0], measures[0] + measures[1]); // never both: they are at least 0.6 apart
            Assert.Equal(Math.Abs(Math.Abs(data.Actions[i]) - TwoModes.Right(x)) <= 0.2 ? 1 : 0, rewards[0]);
            upper += (int)measures[0];
            environment.Step([0f], rewards, terminals);
            Assert.Equal(0, rewards[0]);
        }
        Assert.InRange(upper, 0.48 * data.Count, 0.52 * data.Count);
        Assert.InRange(data.Rewards.Average(), 0.999, 1);
    }

    /// <summary>Where on the way from a random policy's return to the best rule's a quality lies.</summary>
    [Theory]
    [InlineData("cartpole", 22, 500)]
    [InlineData("pendulum", -1240, -155)]
    [InlineData("MiniGrid-DoorKey-6x6-v0", 0.0, 0.96)]
    [InlineData("MiniGrid-MultiRoom-N2-S4-v0", 0.0, 0.82)]
    [InlineData("MiniGrid-KeyCorridorS3R1-v0", 0.0, 0.94)]
    public void Qualities_are_what_they_say(string name, double random, double expert)
    {
        double Share(string quality)
        {
            var data = TransitionDataset.From(Dataset.Load($"builtin:{name},quality={quality},rows=30000"), null);
            return (data.EpisodeReturns.Average() - random) / (expert - random);
        }
        bool grid = name.Contains('-', StringComparison.Ordinal); // random walks solve the smallest levels at times
        Assert.InRange(Share("random"), -0.05, grid ? 0.45 : 0.05);
        if (!grid)
        {
            Assert.InRange(Share("low"), 0.18, 0.32);
            Assert.InRange(Share("medium"), 0.42, 0.58);
            Assert.InRange(Share("high"), 0.68, 0.82);
        }
        Assert.InRange(Share("expert"), 0.95, 1.05);
        Assert.InRange(Share("noisy"), 0.85, 1.01);
        double[] shares = BuiltinGraded.Qualities.Take(5).Select(Share).ToArray();
        for (int i = 1; i < shares.Length; i++) Assert.True(shares[i] > shares[i - 1] + 0.02, string.Join(", ", shares));
        Assert.InRange(Share("replay"), shares[0], shares[4]);
        // Four fifths of the rows are random; as good as nothing of a task in which an episode is short when it fails.
        var mixed = Dataset.Load($"builtin:{name},quality=mixed,rows=30000");
        Assert.Equal(Enumerable.Range(0, 20_000).Average(i => (double)mixed.Rewards[i]), Dataset.Load($"builtin:{name},quality=random,rows=30000").Rewards.Average(), grid ? 0.002 : 0.35);
    }

    [Theory]
    [InlineData("builtin:cartpole,quality=good", "quality=random, low, medium, high, expert, noisy, mixed, replay")]
    [InlineData("builtin:maze2d-umaze,quality=low", "quality is unknown; expected builtin:maze2d-umaze[,rows=N][,seed=S]")]
    [InlineData("builtin:maze2d-umase", "maze2d-umaze")]
    [InlineData("builtin:", "unknown")]
    [InlineData("builtin:cartpole,rows=1", "expected rows=2")]
    [InlineData("builtin:cartpole,rows=1e5", "expected rows=2")]
    [InlineData("builtin:cartpole,rows", "expected rows=2")]
    [InlineData("builtin:cartpole,rows=99999999999", "expected rows=2")]
    [InlineData("builtin:cartpole,seed=-1", "expected seed=0")]
    [InlineData("builtin:cartpole,sead=1", "sead is unknown; expected builtin:cartpole[,quality=Q][,rows=N][,seed=S]")]
    [InlineData("builtin:cartpole,rows=10,rows=20", "rows is given twice")]
    public void Mistakes_say_what_was_expected(string source, string message)
    {
        string said = Assert.Throws<DatasetException>(() => BuiltinDatasets.Load(source)).Message;
        Assert.StartsWith(source, said, StringComparison.Ordinal);
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    /// <summary>The recipe's own files, made with MuJoCo, and ours differ by chance alone.</summary>
    [DataTheory]
    [InlineData("umaze", 7)]
    [InlineData("medium", 26)]
    public void Maze_data_are_distributed_as_the_shared_files_are(string name, int cells)
    {
        Dataset theirs = Dataset.Load(SharedData.Path($"data/generated-d4rl-like/maze2d-{name}-sparse.hdf5")), ours = Dataset.Load("builtin:maze2d-" + name);
        // Rewards of neighbouring rows hang together: means of blocks far longer than a segment.
        Near("reward", Blocks(theirs), Blocks(ours));
        double[] theirLengths = Lengths(theirs), ourLengths = Lengths(ours);
        Near("segment length", theirLengths, ourLengths);
        Near("segment length squared", theirLengths.Select(l => l * l).ToArray(), ourLengths.Select(l => l * l).ToArray());
        foreach (int column in new[] { 0, 1, 2, 3 }) Near($"column {column}", Blocks(theirs, column), Blocks(ours, column));
        // A goal in the cell of the last one is reached at once.
        Assert.Equal(1.0 / cells, ourLengths.Count(l => l == 1) / (double)ourLengths.Length, 0.012);
        double[] largest = new double[4];
        for (int i = 0; i + 1 < ours.Count; i++)
            for (int j = 0; j < 4; j++) largest[j] = Math.Max(largest[j], Math.Abs(ours.Observations[4 * (i + 1) + j] - ours.Observations[4 * i + j]));
        for (int j = 0; j < 2; j++)
        {
            Assert.InRange(largest[j], 0.050, 0.0525);
            Assert.InRange(largest[2 + j], 0.245, 0.2506);
        }

        static double[] Blocks(Dataset data, int column = -1) => Enumerable.Range(0, data.Count / 5000)
            .Select(b => Enumerable.Range(5000 * b, 5000).Average(i => (double)(column < 0 ? data.Rewards[i] : data.Observations[4 * i + column]))).ToArray();

        static double[] Lengths(Dataset data)
        {
            var lengths = new List<double>();
            int length = 0;
            foreach (bool end in data.Timeouts)
            {
                length++;
                if (!end) continue;
                lengths.Add(length);
                length = 0;
            }
            return lengths.ToArray();
        }

        static void Near(string what, double[] a, double[] b)
        {
            double error = Math.Sqrt(Variance(a) / a.Length + Variance(b) / b.Length), difference = a.Average() - b.Average();
            Assert.True(Math.Abs(difference) < 4 * error, $"{what}: {a.Average()} in the file, {b.Average()} here, standard error {error}");
        }

        static double Variance(double[] values)
        {
            double mean = values.Average();
            return values.Sum(v => (v - mean) * (v - mean)) / (values.Length - 1);
        }
    }
}
