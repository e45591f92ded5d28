using Engine.Algorithms;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Kernels.Cpu;

namespace Engine.Tests;

/// <summary>A short run of any algorithm of the catalogue, on the first of some small tasks that it takes.</summary>
internal static class SampleRuns
{
    private static readonly (string? Dataset, string Environment, string? ActionsOf, bool Expert)[] Tasks =
    [
        ("builtin:pendulum", "Pendulum-v1", null, false), (null, "Pendulum-v1", null, false), ("builtin:cartpole", "CartPole-v1", null, false), (null, "CartPole-v1", null, false), ("builtin:maze2d-umaze,rows=2000", "maze2d-umaze-goals-v1", null, false),
        ("builtin:pendulum", "Pendulum-v1", "worst=0.5", false), ("builtin:pendulum", "Pendulum-v1", null, true),
    ];

    private static readonly Dictionary<string, TrainingData> Data = [];
    private static readonly Dictionary<string, (string? Dataset, string Environment, string? ActionsOf, bool Expert)> Known = [];
    private static readonly string[] Widths = ["hidden_sizes", "value_hidden_sizes", "actor_hidden_sizes", "seeker_hidden_sizes", "feature_hidden_sizes", "policy_sizes"];

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

    private static bool Takes(string algorithm, (string?, string, string?, bool) task)
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
    private static readonly (string, string)[] Short = [("batch_size", "16"), ("block_width", "64"), ("diffusion_steps", "3"), ("sample_steps", "3"), ("flow_steps", "3"), ("sampled_actions", "4"), ("edited_actions", "3"), ("horizon", "8")];

    /// <summary>Whether an update passes many layers, or the same ones many times.</summary>
    private static bool Denoises(System.Text.Json.Nodes.JsonObject settings) => settings.ContainsKey("diffusion_steps") || settings.ContainsKey("sample_steps") || settings.ContainsKey("flow_steps");

    /// <summary>Whether an update is of wide layers and thousands of rows, of a transformer, or of several methods.</summary>
    private static bool Wide(System.Text.Json.Nodes.JsonObject settings) => settings.ContainsKey("backup_horizon") || settings.ContainsKey("heads") || settings.Any(s => s.Value is System.Text.Json.Nodes.JsonObject);

    private static readonly (string, string)[] Sizes =
    [
        .. Widths.Select(w => (w, "[16,16]")), ("batch_size", "32"), ("block_width", "16"), ("blocks", "2"), ("acting_samples", "4"), ("sampled_actions", "4"), ("edited_actions", "3"), ("width", "16"), ("value_width", "16"), ("input_width", "8"),
        ("sample_steps", "3"), ("acting_steps", "3"), ("horizon", "8"), ("multipliers", "[1,2]"), ("plans", "2"), ("diffusion_steps", "3"), ("return_steps", "20"), ("members", "2"), ("features", "4"), ("feature_size", "4"),
    ];

    // Settings that count the updates or steps of a stage before the last.
    private static readonly string[] Before = ["start_steps", "value_steps", "offline_steps", "inverse_steps", "dynamics_steps", "seeker_steps", "imitation_steps"];

    private static (RunConfig, Dictionary<string, TrainingData>) Make(string algorithm, (string? Dataset, string Environment, string? ActionsOf, bool Expert) task, int steps, bool defaults, (string Key, string Value)[] settings)
    {
        var entry = AlgorithmCatalogue.Find(algorithm);
        var known = SettingsJson.ToJson(entry.Defaults);
        (string, string)[] sizes = !defaults ? Sizes : known.ContainsKey("fourier_features") ? [("width", "512")] : [];
        // Whatever the sizes, an update comes soon, and is no long row of them.
        (string, string)[] soon =
        [
            .. Before.Select(b => (b, "5")), ("buffer_capacity", "500"), ("utd_ratio", defaults ? "1" : "2"), .. defaults && known.ContainsKey("utd_ratio") ? [("batch_size", "128")] : Array.Empty<(string, string)>(),
            .. defaults && (Denoises(known) || Wide(known)) ? Short : [],
        ];
        // Methods that are parts of others are as small.
        var parts = known.Where(k => k.Value is System.Text.Json.Nodes.JsonObject).SelectMany(k => sizes.Concat(soon).Where(s => k.Value!.AsObject().ContainsKey(s.Item1)).Select(s => ($"{k.Key}.{s.Item1}", s.Item2)));
        var small = sizes.Concat(soon).Where(s => known.ContainsKey(s.Item1)).Concat(parts);
        var data = new Dictionary<string, TrainingData>();
        if (task.Dataset is { } source)
        {
            if (!Data.TryGetValue(source, out var loaded)) Data[source] = loaded = TrainingData.Load(source, task.Environment);
            data["offline"] = loaded;
        }
        if (task.Expert) data["expert"] = data["offline"];
        var config = new RunConfig
        {
            Algorithm = algorithm,
            Datasets = data.Keys.ToDictionary(name => name, _ => task.Dataset!),
            Environment = task.Environment,
            ActionsOf = task.ActionsOf,
            Steps = steps + 5 * Before.Count(known.ContainsKey),
            Seed = 3,
            EvaluationEpisodes = 3,
            LogEvery = 7,
            CheckpointEvery = 10,
            EvaluateEvery = 0,
            Settings = SettingsJson.With(entry.Defaults, small.Concat(settings).Select(s => KeyValuePair.Create(s.Item1, SettingsJson.ParseValue(s.Item2)))),
        };
        return (defaults && Denoises(known) && !known.ContainsKey("start_steps") ? WithoutEnvironment(config) : config, data);
    }

    /// <summary>The same without evaluations, for which there must be an environment; its goal is then named.</summary>
    public static RunConfig WithoutEnvironment(RunConfig config) => config.Environment is null ? config : config with
    {
        Environment = null,
        Goal = EnvironmentCatalogue.Find(config.Environment).Create(1).Spaces.Goal is { } parts ? string.Join(',', parts.Components) : null,
    };
}
