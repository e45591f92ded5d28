using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Interop;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>Everything that decides what a run computes: stored as config.json in its folder.</summary>
public sealed record RunConfig
{
    /// <summary>Name of the algorithm.</summary>
    public required string Algorithm { get; init; }

    /// <summary>Its hyper-parameters.</summary>
    public required AlgorithmSettings Settings { get; init; }

    /// <summary>File or builtin:NAME.</summary>
    public required string Dataset { get; init; }

    /// <summary>Columns of the dataset's file with unusual names, by quantity.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>Steps of an episode, for files that do not mark time limits.</summary>
    public int? MaxEpisodeSteps { get; init; }

    /// <summary>How the dataset is read.</summary>
    public DatasetOptions DatasetOptions => new() { Columns = Columns, MaxEpisodeSteps = MaxEpisodeSteps };

    /// <summary>How rewards are changed before training (<see cref="RewardTransform.Parse"/>); null for not at all.</summary>
    public string? Rewards { get; init; }

    /// <summary>Environment for evaluation; null for none.</summary>
    public string? Environment { get; init; }

    /// <summary>How precisely products of matrices are computed: the device's <see cref="Device.Precision"/> while it trains.</summary>
    public Precision Precision { get; init; }

    /// <summary>The precision of that name.</summary>
    /// <exception cref="SettingsException">There is none.</exception>
    public static Precision ParsePrecision(string name) => Precisions.Names.Contains(name) ? Enum.Parse<Precision>(name, ignoreCase: true)
        : throw new SettingsException($"precision {name} is unknown; {NearNames.Describe(name, Precisions.Names)}");

    /// <summary>Updates.</summary>
    public int Steps { get; init; } = 20_000;

    /// <summary>Seed of parameters, batches and draws.</summary>
    public ulong Seed { get; init; }

    /// <summary>Updates between evaluations; 0 evaluates at the end only.</summary>
    public int EvaluateEvery { get; init; } = 5_000;

    /// <summary>Episodes of an evaluation.</summary>
    public int EvaluationEpisodes { get; init; } = 100;

    /// <summary>Seed of the evaluation's start states: the same for every algorithm and training seed.</summary>
    public ulong EvaluationSeed { get; init; }

    /// <summary>Updates between lines of metrics.</summary>
    public int LogEvery { get; init; } = 1_000;

    /// <summary>Updates between checkpoints.</summary>
    public int CheckpointEvery { get; init; } = 5_000;

    /// <summary>Of data in shards: updates after which the older of the two resident shards is replaced.</summary>
    public int ShardUpdates { get; init; } = 1_000;

    /// <summary>Throws for values out of range.</summary>
    public void Validate()
    {
        Settings.Validate();
        if (Steps < 1) throw new SettingsException($"steps={Steps}: expected at least 1");
        if (LogEvery < 1) throw new SettingsException($"log_every={LogEvery}: expected at least 1");
        if (CheckpointEvery < 1) throw new SettingsException($"checkpoint_every={CheckpointEvery}: expected at least 1");
        if (ShardUpdates < 1) throw new SettingsException($"shard_updates={ShardUpdates}: expected at least 1");
        if (EvaluateEvery < 0) throw new SettingsException($"evaluate_every={EvaluateEvery}: expected 0 or more");
        if (EvaluationEpisodes < 1) throw new SettingsException($"episodes={EvaluationEpisodes}: expected at least 1");
        if (Settings.MaxAction != 1) throw new SettingsException($"max_action={Settings.MaxAction}: training works in [-1, 1]; the bounds come from the environment or the data");
        DatasetOptions.Validate();
        RewardTransform.Parse(Rewards);
        if (Environment is not null) EnvironmentCatalogue.Find(Environment);
    }

    private const int Format = 1;

    /// <summary>As config.json.</summary>
    /// <param name="fingerprint">Of the dataset.</param>
    /// <param name="space">What an action is; for continuous ones what -1 and 1 mean.</param>
    /// <param name="observationSize">S.</param>
    public string ToJson(string fingerprint, ActionSpace space, int observationSize) => new JsonObject
    {
        ["format"] = Format,
        ["algorithm"] = Algorithm,
        ["settings"] = SettingsJson.ToJson(Settings),
        ["dataset"] = Dataset,
        ["dataset_fingerprint"] = fingerprint,
        ["columns"] = new JsonObject(Columns.Select(c => KeyValuePair.Create(c.Key, (JsonNode?)JsonValue.Create(c.Value)))),
        ["max_episode_steps"] = MaxEpisodeSteps,
        ["rewards"] = Rewards,
        ["environment"] = Environment,
        ["observation_size"] = observationSize,
        ["action_low"] = Numbers((space as ActionBounds)?.Low),
        ["action_high"] = Numbers((space as ActionBounds)?.High),
        ["action_count"] = (space as DiscreteActions)?.Count,
        ["precision"] = Precision.Name(),
        ["steps"] = Steps,
        ["seed"] = Seed,
        ["evaluate_every"] = EvaluateEvery,
        ["evaluation_episodes"] = EvaluationEpisodes,
        ["evaluation_seed"] = EvaluationSeed,
        ["log_every"] = LogEvery,
        ["checkpoint_every"] = CheckpointEvery,
        ["shard_updates"] = ShardUpdates,
    }.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";

    private static JsonArray? Numbers(float[]? values) => values is null ? null : new JsonArray(values.Select(v => (JsonNode)v).ToArray());

    /// <summary>Reads a run folder's config.json.</summary>
    /// <exception cref="InteropFormatException">Missing or damaged.</exception>
    public static (RunConfig Config, string Fingerprint, ActionSpace ActionSpace, int ObservationSize) Read(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        if (!Directory.Exists(folder)) throw new InteropFormatException(folder, -1, "no such folder; expected a run made by engine train");
        if (!File.Exists(path)) throw new InteropFormatException(path, -1, "no such file; expected a run made by engine train");
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            if ((int)json["format"]! != Format) throw new InteropFormatException(path, -1, $"format {json["format"]}, expected {Format}");
            string algorithm = (string)json["algorithm"]!;
            var config = new RunConfig
            {
                Algorithm = algorithm,
                Settings = SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, json["settings"]!.AsObject()),
                Dataset = (string)json["dataset"]!,
                Columns = json["columns"]?.AsObject().ToDictionary(c => c.Key, c => (string)c.Value!) ?? [],
                MaxEpisodeSteps = (int?)json["max_episode_steps"],
                Rewards = (string?)json["rewards"],
                Environment = (string?)json["environment"],
                Precision = json["precision"] is { } precision ? ParsePrecision((string)precision!) : Precision.Float32,
                Steps = (int)json["steps"]!,
                Seed = (ulong)json["seed"]!,
                EvaluateEvery = (int)json["evaluate_every"]!,
                EvaluationEpisodes = (int)json["evaluation_episodes"]!,
                EvaluationSeed = (ulong)json["evaluation_seed"]!,
                LogEvery = (int)json["log_every"]!,
                CheckpointEvery = (int)json["checkpoint_every"]!,
                ShardUpdates = (int?)json["shard_updates"] ?? 1_000,
            };
            float[] Bounds(string key) => json[key]!.AsArray().Select(v => (float)v!).ToArray();
            ActionSpace space = json["action_count"] is { } count ? new DiscreteActions((int)count) : new ActionBounds(Bounds("action_low"), Bounds("action_high"));
            return (config, (string)json["dataset_fingerprint"]!, space, (int)json["observation_size"]!);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException or ArgumentException)
        {
            throw new InteropFormatException(path, -1, "not a run's configuration: " + e.Message.Split('\n')[0]);
        }
        catch (SettingsException e) { throw new InteropFormatException(path, -1, e.Message); }
    }
}
