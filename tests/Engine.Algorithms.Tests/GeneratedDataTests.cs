using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Studies;
using Engine.Algorithms.Training;
using Engine.Interop;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

/// <summary>Data that a run generates: as a source, in a study, and beside the data they are to be like.</summary>
public sealed class GeneratedDataTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-generated").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    private const string Small = "\"width\": 16, \"input_width\": 8, \"blocks\": 1, \"batch_size\": 32, \"sample_steps\": 4, \"acting_steps\": 2";

    private string Study(string algorithms, string checks = "")
    {
        string file = Path.Combine(_folder, "study.json");
        File.WriteAllText(file, $$"""{ "dataset": "builtin:pendulum,rows=2000", "environment": "Pendulum-v1", "steps": 20, "evaluate_every": 0, "evaluation_episodes": 2, "seeds": [1, 2], "checks": [{{checks}}], "algorithms": { {{algorithms}} } }""");
        return file;
    }

    [Fact]
    public void An_algorithm_of_a_study_trains_on_what_another_one_of_its_seed_makes()
    {
        var study = Studies.Study.Read(Study($$"""
            "synther": { {{Small}} },
            "up": { "algorithm": "bc", "hidden_sizes": [8], "dataset": "sample:{synther},count=300,seed=5" }
            """, "\"synther.samples.mean_error < 1e9\""));
        string runs = Path.Combine(_folder, "a, b");
        var scheduler = new StudyScheduler(study, runs);
        scheduler.Run(2, _ => { }, CancellationToken.None);
        string made = $"sample:{Path.Combine(runs, "synther-seed2")},count=300,seed=5";
        var config = RunInfo.Read(Path.Combine(runs, "up-seed2"));
        Assert.Equal(made, config.Config.Dataset);
        Assert.Equal(TrainingData.Load(made, "Pendulum-v1").Fingerprint, config.Fingerprints["offline"]);
        Assert.NotEqual(config.Fingerprints["offline"], RunInfo.Read(Path.Combine(runs, "up-seed1")).Fingerprints["offline"]);
        Assert.Equal(["samples.correlation_error", "samples.dynamics_error", "samples.dynamics_ratio", "samples.mean_error", "samples.std_error"], scheduler.Result(study.Entries[0])!.Measures.Keys.Order());
        Assert.Empty(scheduler.Result(study.Entries[^1])!.Measures);
        Assert.True(new StudyTable(study, runs).Holds);
        // A bc run draws no samples.
        Assert.Contains("draws no samples", Assert.Throws<DatasetException>(() => Dataset.Load("sample:" + Path.Combine(runs, "up-seed1"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sample:{sinther}", "sinther is none of the algorithms before up")]
    [InlineData("sample:{up}", "up is none of the algorithms before up")]
    public void A_study_says_what_it_cannot_train_on(string dataset, string message) =>
        Assert.Contains(message, Assert.Throws<InteropFormatException>(() => Studies.Study.Read(Study($$"""
            "synther": { {{Small}} }, "up": { "algorithm": "bc", "dataset": "{{dataset}}" }
            """))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("sample:nowhere", "nowhere")]
    [InlineData("sample:nowhere,count=ten", "count=ten: expected a whole number")]
    [InlineData("sample:nowhere,count=10,count=20", "count is given twice")]
    [InlineData("sample:nowhere,cuont=10", "cuont is unknown; expected sample:RUN[,count=N]")]
    [InlineData("sample:nowhere,count=0", "expected at least 1")]
    public void A_source_that_cannot_be_drawn_says_why(string source, string message)
    {
        string said = Assert.Throws<DatasetException>(() => Dataset.Load(source)).Message;
        Assert.StartsWith(source, said, StringComparison.Ordinal);
        Assert.Contains(message, said, StringComparison.Ordinal);
    }

    private static Dataset Changed(Dataset data, Func<float[], int, float[]> rewards) => data with { Rewards = rewards(data.Rewards, data.Count) };

    [Fact]
    public void Samples_are_measured_against_data_and_dynamics()
    {
        var data = WithSuccessors(Dataset.Load("builtin:pendulum,rows=800"));
        var same = SampleQuality.Of(data, data, "Pendulum-v1");
        foreach (string measure in new[] { "mean_error", "std_error", "correlation_error" }) Assert.Equal(0, same[measure], 1e-9);
        Assert.InRange(same["dynamics_error"], 0, 1e-10); // the data are the environment's, in float32
        // A reward that is one standard deviation too high is a mean, and an error of the dynamics in one of four numbers.
        double mean = data.Rewards.Average(), std = Math.Sqrt(data.Rewards.Average(r => (r - mean) * (r - mean)));
        var shifted = SampleQuality.Of(data, Changed(data, (r, _) => Array.ConvertAll(r, x => (float)(x + std))), "Pendulum-v1");
        Assert.Equal(1, shifted["mean_error"], 2e-2);
        Assert.Equal(0, shifted["std_error"], 2e-2);
        Assert.Equal(0.25, shifted["dynamics_error"], 1e-2);
        var scaled = SampleQuality.Of(data, Changed(data, (r, _) => Array.ConvertAll(r, x => (float)(mean + 1.5 * (x - mean)))), "Pendulum-v1");
        Assert.Equal(0.5, scaled["std_error"], 2e-2);
        // Rewards of other rows: their correlation with the rest is gone.
        var mixed = SampleQuality.Of(data, Changed(data, (r, n) => [.. Enumerable.Range(0, n).Select(i => r[(i + n / 2) % n])]), "Pendulum-v1");
        Assert.InRange(mixed["correlation_error"], 0.3, 2);
        // Data with noise are as good as data with noise.
        var random = new PhiloxStream(7, "noise");
        float[] Noisy(float[] values, int size) => [.. values.Select((x, i) => (float)(x + 0.1 * random.NextNormal() * Deviation(values, size, i % size)))];
        var noisy = SampleQuality.Of(data, data with { Observations = Noisy(data.Observations, 3), Actions = Noisy(data.Actions, 1), Rewards = Noisy(data.Rewards, 1), NextObservations = Noisy(data.NextObservations!, 3) }, "Pendulum-v1");
        Assert.InRange(noisy["dynamics_ratio"], 0.7, 1.4);
        Assert.DoesNotContain("dynamics_error", SampleQuality.Of(data, data, null).Keys);
        Assert.DoesNotContain("dynamics_error", SampleQuality.Of(Dataset.Load("builtin:two-modes"), Dataset.Load("builtin:two-modes"), "TwoModes-v1").Keys);
    }

    private static Dataset WithSuccessors(Dataset data)
    {
        int[] kept = [.. Enumerable.Range(0, data.Count).Where(i => !data.Ends[i])];
        float[] Pick(float[] values, int size, int by = 0) => [.. kept.SelectMany(i => values[((i + by) * size)..((i + by + 1) * size)])];
        bool[] none = new bool[kept.Length];
        return data with { Observations = Pick(data.Observations, 3), Actions = Pick(data.Actions, 1), Rewards = Pick(data.Rewards, 1), NextObservations = Pick(data.Observations, 3, 1), Terminals = none, Timeouts = none, Ends = none };
    }

    private static double Deviation(float[] values, int size, int at)
    {
        var own = values.Where((_, i) => i % size == at).ToArray();
        double mean = own.Average();
        return Math.Sqrt(own.Average(v => (v - mean) * (v - mean)));
    }

    [Fact]
    public void The_state_of_a_pendulum_is_what_is_seen_of_it()
    {
        var environment = new Pendulum(1, clipFirst: true);
        var seen = new float[3];
        foreach (double angle in new[] { -3.1, -0.5, 0, 2.5 })
        {
            (environment.State(0)[0], environment.State(0)[1]) = (angle, 3);
            environment.Observe(seen);
            Assert.True(environment.TryState(seen, environment.State(0)));
            Assert.Equal(angle, environment.State(0)[0], 1e-6);
            Assert.Equal(3, environment.State(0)[1]);
        }
        Assert.False(new Acrobot(1).TryState(new float[6], new double[4]));
        var state = new double[4];
        Assert.True(new CartPole(1, 500).TryState([1f, 2, 3, 4], state));
        Assert.Equal([1.0, 2, 3, 4], state);
    }
}
