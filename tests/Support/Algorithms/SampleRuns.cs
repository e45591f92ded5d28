using Engine.Algorithms;
using Engine.Algorithms.Data;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;

namespace Engine.Tests;

/// <summary>A short run of any algorithm of the catalogue, on the first of some small tasks that it takes.</summary>
internal static class SampleRuns
{
    private static readonly (string? Dataset, string Environment)[] Tasks =
    [
        ("builtin:pendulum", "Pendulum-v1"), (null, "Pendulum-v1"), ("builtin:cartpole", "CartPole-v1"), (null, "CartPole-v1"), ("builtin:maze2d-umaze,rows=2000", "maze2d-umaze-goals-v1"),
    ];

    private static readonly Dictionary<string, TrainingData> Data = [];
    private static readonly Dictionary<string, (string? Dataset, string Environment)> Known = [];
    private static readonly string[] Widths = ["hidden_sizes", "value_hidden_sizes", "actor_hidden_sizes", "policy_sizes"];

    /// <summary>Configuration and data.</summary>
    /// <param name="algorithm">Name in the catalogue.</param>
    /// <param name="steps">Updates.</param>
    /// <param name="defaults">The paper's sizes, not small ones.</param>
    /// <param name="settings">Settings besides.</param>
    public static (RunConfig Config, Dictionary<string, TrainingData> Data) Of(string algorithm, int steps = 1, bool defaults = false, params (string Key, string Value)[] settings)
    {
        lock (Known)
        {
            if (!Known.TryGetValue(algorithm, out var task)) Known[algorithm] = task = Tasks.FirstOrDefault(t => Takes(algorithm, t));
            if (task.Environment is null) throw new InvalidOperationException($"{algorithm} takes none of the sample tasks");
            return Make(algorithm, task, steps, defaults, settings);
        }
    }

    private static bool Takes(string algorithm, (string?, string) task)
    {
        try
        {
            using var device = new CpuDevice();
            var (config, data) = Make(algorithm, task, 1000, false, []);
            using var trainer = new Trainer(config, data, device, null);
            _ = trainer.Policy.For(1);
            return true;
        }
        catch (Exception e) when (e is SettingsException or DatasetException) { return false; }
    }

    // With the papers' batches updates would take minutes on the stand-in, and so would evaluations, which there are none of then.
    private static readonly (string, string)[] Short = [("batch_size", "16"), ("diffusion_steps", "3"), ("horizon", "8")];

    /// <summary>Whether an update passes many layers, or the same ones many times.</summary>
    private static bool Denoises(System.Text.Json.Nodes.JsonObject settings) => settings.ContainsKey("diffusion_steps") || settings.ContainsKey("sample_steps");

    /// <summary>Whether an update is of wide layers and thousands of rows, or of a transformer.</summary>
    private static bool Wide(System.Text.Json.Nodes.JsonObject settings) => settings.ContainsKey("backup_horizon") || settings.ContainsKey("heads");

    private static (RunConfig, Dictionary<string, TrainingData>) Make(string algorithm, (string? Dataset, string Environment) task, int steps, bool defaults, (string Key, string Value)[] settings)
    {
        var entry = AlgorithmCatalogue.Find(algorithm);
        var known = SettingsJson.ToJson(entry.Defaults);
        (string, string)[] sizes = defaults ? known.ContainsKey("fourier_features") ? [("width", "512")] : [] : [.. Widths.Select(w => (w, "[16,16]")), ("batch_size", "32"), ("block_width", "16"), ("blocks", "2"), ("acting_samples", "4"), ("sampled_actions", "4"), ("width", "16"), ("value_width", "16"), ("input_width", "8"), ("sample_steps", "4"), ("acting_steps", "3"), ("horizon", "8"), ("multipliers", "[1,2]"), ("plans", "2"), ("diffusion_steps", "3"), ("return_steps", "20")];
        // Whatever the sizes, an update comes soon, and is no long row of them.
        (string, string)[] soon = [("buffer_capacity", "500"), ("start_steps", "5"), ("value_steps", "5"), ("imitation_steps", "5"), ("utd_ratio", defaults ? "1" : "2"), .. defaults && known.ContainsKey("utd_ratio") ? [("batch_size", "128")] : Array.Empty<(string, string)>(), .. defaults && (Denoises(known) || Wide(known)) ? Short : []];
        var small = sizes.Concat(soon).Where(s => known.ContainsKey(s.Item1));
        var data = new Dictionary<string, TrainingData>();
        if (task.Dataset is { } source)
        {
            if (!Data.TryGetValue(source, out var loaded)) Data[source] = loaded = TrainingData.Load(source, task.Environment);
            data["offline"] = loaded;
        }
        return (new RunConfig
        {
            Algorithm = algorithm,
            Dataset = task.Dataset,
            Environment = defaults && Denoises(known) ? null : task.Environment,
            Steps = steps + (known.ContainsKey("start_steps") || known.ContainsKey("value_steps") || known.ContainsKey("imitation_steps") ? 5 : 0),
            Seed = 3,
            EvaluationEpisodes = 3,
            LogEvery = 7,
            CheckpointEvery = 10,
            EvaluateEvery = 0,
            Settings = SettingsJson.With(entry.Defaults, small.Concat(settings).Select(s => KeyValuePair.Create(s.Item1, SettingsJson.ParseValue(s.Item2)))),
        }, data);
    }
}
