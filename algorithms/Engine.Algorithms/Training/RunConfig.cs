using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Interop;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>An option of a run. The property with its range is all there is to write: files, the command line and studies read it from here.</summary>
/// <param name="help">For the command line.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class RunOptionAttribute(string help) : Attribute
{
    /// <summary>What it does.</summary>
    public string Help => help;

    /// <summary>The option's name; null: the property's in kebab-case.</summary>
    public string? Name { get; init; }
}

/// <summary>Everything that decides what a run computes: stored as config.json in its folder.</summary>
public sealed record RunConfig
{
    /// <summary>Name of the algorithm.</summary>
    public required string Algorithm { get; init; }

    /// <summary>Its hyper-parameters.</summary>
    public required AlgorithmSettings Settings { get; init; }

    /// <summary>Data by the names of their sources: files, or builtin:NAME. A single dataset is "offline"; an online algorithm needs none.</summary>
    public IReadOnlyDictionary<string, string> Datasets { get; init; } = new Dictionary<string, string>();

    /// <summary>The dataset named "offline"; null without it.</summary>
    public string? Dataset
    {
        get => Datasets.GetValueOrDefault(Draw.Offline);
        init
        {
            if (value is not null) Datasets = new Dictionary<string, string>(Datasets) { [Draw.Offline] = value };
        }
    }

    /// <summary>Columns of the datasets' files with unusual names, by quantity.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>Environment for evaluation and interaction; null for none.</summary>
    [RunOption("environment to evaluate on, and to interact with (default: a built-in dataset's own)", Name = "--env")]
    public string? Environment { get; init; }

    /// <summary>Updates; of an algorithm whose stages have lengths of their own, their sum.</summary>
    [RunOption("updates (default 20000; where the stages of an algorithm have lengths, those count); with --resume: train up to this many in all"), AtLeast(1)]
    public int Steps { get; init; } = 20_000;

    /// <summary>Seed of parameters, batches and draws.</summary>
    [RunOption("of parameters, batches and draws")]
    public ulong Seed { get; init; }

    /// <summary>How rewards are changed before training (<see cref="RewardTransform.Parse"/>); null for not at all.</summary>
    [RunOption("how rewards are changed before training: shift=-1, scale=0.1, return-range (1000 / best - worst return), or several with commas")]
    public string? Rewards { get; init; }

    /// <summary>Steps of an episode, for files that do not mark time limits.</summary>
    [RunOption("steps of an episode, for files that do not mark time limits", Name = "--max-steps"), AtLeast(1)]
    public int? MaxEpisodeSteps { get; init; }

    /// <summary>Which trajectories of the dataset are trained on (<see cref="TrajectoryChoice.Parse"/>); null for all. What is held out is no part of the choice.</summary>
    [RunOption("which trajectories of the dataset are trained on: best=0.1, worst=0.1, a number of them, best=5; ,discount=0.99 ranks by discounted returns")]
    public string? Trajectories { get; init; }

    /// <summary>Of which of these the actions are known (<see cref="TrajectoryChoice.Parse"/>); null for all. The others' actions are removed, and the column <c>labelled</c> says which rows have theirs. Held-out rows keep theirs.</summary>
    [RunOption("of which trajectories the actions are known, as --trajectories; those of the others are removed, for methods that learn without")]
    public string? ActionsOf { get; init; }

    /// <summary>Observation arrays to join, of files that have several (<see cref="DatasetOptions.Observations"/>).</summary>
    [RunOption("observation arrays to join, in this order, such as robot0_eef_pos,object (default: all that are vectors)")]
    public string? Observations { get; init; }

    /// <summary>Observation arrays to leave out (<see cref="DatasetOptions.Without"/>).</summary>
    [RunOption("observation arrays to leave out, such as images")]
    public string? Without { get; init; }

    /// <summary>Part of the episodes (<see cref="DatasetOptions.Split"/>).</summary>
    [RunOption("part of the episodes that the data name, such as robomimic's train or valid (default: all but OGBench's val)")]
    public string? Split { get; init; }

    /// <summary>Components of the observation that are the goal, separated by commas, where the environment does not say; null for what it says.</summary>
    [RunOption("components of the observation that are the goal, such as 0,1 (default: the environment's)")]
    public string? Goal { get; init; }

    /// <summary>Updates between evaluations; 0 evaluates at the end only.</summary>
    [RunOption("updates between evaluations, 0: only at the end"), AtLeast(0)]
    public int EvaluateEvery { get; init; } = 5_000;

    /// <summary>Episodes of an evaluation.</summary>
    [RunOption("episodes of an evaluation", Name = "--episodes"), AtLeast(1)]
    public int EvaluationEpisodes { get; init; } = 100;

    /// <summary>Seed of the evaluation's start states and of what is held out: the same for every algorithm and training seed.</summary>
    [RunOption("of the start states of evaluations, and of what is held out")]
    public ulong EvaluationSeed { get; init; }

    /// <summary>Further environments to evaluate on, each NAME=ENVIRONMENT or an environment alone, which is its name then. A dataset of that name is the prompt of the policy there.</summary>
    [RunOption("a further environment to evaluate on, NAME=ENVIRONMENT or ENVIRONMENT alone; repeatable; --dataset NAME=FILE is the policy's prompt there")]
    public string[] EvaluateOn { get; init; } = [];

    /// <summary>Share of every dataset's trajectories that is held out: evaluations report on it what the updates report.</summary>
    [RunOption("share of the trajectories, below 1, that updates do not see: evaluations compute losses on them (or --dataset heldout=FILE)"), Within(0, 0.99)]
    public double HoldOut { get; init; }

    /// <summary>Updates between lines of metrics.</summary>
    [RunOption("updates between lines of metrics"), AtLeast(1)]
    public int LogEvery { get; init; } = 1_000;

    /// <summary>Updates between checkpoints.</summary>
    [RunOption("updates between checkpoints"), AtLeast(1)]
    public int CheckpointEvery { get; init; } = 5_000;

    /// <summary>Of data in shards: updates after which the older of the two resident shards is replaced.</summary>
    [RunOption("of data in shards: updates after which one of the two resident shards is replaced"), AtLeast(1)]
    public int ShardUpdates { get; init; } = 1_000;

    /// <summary>Copies of the environment that are interacted with at once.</summary>
    [RunOption("copies of the environment that are interacted with at once"), AtLeast(1)]
    public int Copies { get; init; } = 1;

    /// <summary>Resume although the environment cannot save its state: its episodes begin anew.</summary>
    [RunOption("begin episodes anew when an environment that cannot save its state is resumed")]
    public bool RestartEpisodes { get; init; }

    /// <summary>How precisely products of matrices are computed: the device's <see cref="Device.Precision"/> while it trains.</summary>
    [RunOption("how products of matrices are computed; tf32 and bfloat16: --device cuda, compute capability 8.0; --resume keeps it")]
    public Precision Precision { get; init; }

    /// <summary>How the datasets are read.</summary>
    public DatasetOptions DatasetOptions => new() { Columns = Columns, MaxEpisodeSteps = MaxEpisodeSteps, Observations = Observations, Without = Without, Split = Split };

    /// <summary>The options, in order: name on the command line, name in files, what they do, the property.</summary>
    public static IReadOnlyList<(string Name, string Key, string Help, PropertyInfo Property)> Options { get; } = typeof(RunConfig).GetProperties()
        .Select(p => (Property: p, About: p.GetCustomAttribute<RunOptionAttribute>())).Where(p => p.About is not null)
        .Select(p => (p.About!.Name ?? "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(p.Property.Name), SettingsJson.NameOf(p.Property), p.About.Help, p.Property)).ToArray();

    /// <summary>This configuration with options put in, by their names in files.</summary>
    /// <exception cref="SettingsException">A name is unknown or a value does not fit.</exception>
    public RunConfig With(IEnumerable<KeyValuePair<string, JsonNode?>> options)
    {
        var config = this with { };
        foreach (var (key, value) in options)
        {
            var property = Options.FirstOrDefault(o => o.Key == key).Property ?? throw new SettingsException($"option {key} is unknown; {NearNames.Describe(key, Options.Select(o => o.Key))}");
            // One name is a list of one.
            property.SetValue(config, SettingsJson.FromJson(key, property.PropertyType.IsArray && value is JsonValue ? new JsonArray(value.DeepClone()) : value, property.PropertyType));
        }
        return config;
    }

    /// <summary>The precision of that name.</summary>
    /// <exception cref="SettingsException">There is none.</exception>
    public static Precision ParsePrecision(string name) => Precisions.Names.Contains(name) ? Enum.Parse<Precision>(name, ignoreCase: true)
        : throw new SettingsException($"precision {name} is unknown; {NearNames.Describe(name, Precisions.Names)}");

    /// <summary>The components that <see cref="Goal"/> names; null where it names none.</summary>
    /// <exception cref="SettingsException">Not numbers, at least 0, separated by commas.</exception>
    public GoalSpace? ParseGoal() => Goal is null ? null
        : Goal.Split(',', StringSplitOptions.TrimEntries).Select(t => int.TryParse(t, out int c) && c >= 0 ? c : -1).ToArray() is var places && places.All(c => c >= 0) ? new GoalSpace(places)
        : throw new SettingsException($"goal={Goal}: expected components of the observation such as 0,1");

    /// <summary>The further evaluations: names, which begin their columns, and environments.</summary>
    /// <exception cref="SettingsException">A name occurs twice or is not one of letters, digits, "-" and "_", or an environment is unknown.</exception>
    public IReadOnlyList<(string Name, EnvironmentEntry Entry)> FurtherEvaluations()
    {
        var all = new List<(string Name, EnvironmentEntry Entry)>();
        foreach (string text in EvaluateOn)
        {
            var (name, id) = text.IndexOf('=', StringComparison.Ordinal) is var at and >= 0 ? (text[..at], text[(at + 1)..]) : (text, text);
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')) throw new SettingsException($"evaluate_on={text}: expected NAME=ENVIRONMENT, the name of letters, digits, - and _");
            if (name == Draw.HeldOut || all.Exists(e => e.Name == name)) throw new SettingsException($"evaluate_on={text}: there is an evaluation {name} already; give this one another name, NAME=ENVIRONMENT");
            all.Add((name, EnvironmentCatalogue.Find(id)));
        }
        return all;
    }

    /// <summary>Throws for values out of range.</summary>
    public void Validate()
    {
        Settings.Validate();
        foreach (var (name, _, _, property) in Options)
            foreach (var range in property.GetCustomAttributes<RangeAttribute>())
                range.Check(name[2..].Replace('-', '_'), property.GetValue(this));
        if (Settings is ContinuousSettings { MaxAction: not 1 } continuous) throw new SettingsException($"max_action={continuous.MaxAction}: training works in [-1, 1]; the bounds come from the environment or the data");
        DatasetOptions.Validate();
        RewardTransform.Parse(Rewards);
        TrajectoryChoice.Parse("trajectories", Trajectories);
        TrajectoryChoice.Parse("actions_of", ActionsOf);
        ParseGoal();
        FurtherEvaluations();
        if (HoldOut > 0 && Datasets.ContainsKey(Draw.HeldOut)) throw new SettingsException($"hold_out={HoldOut}: the dataset {Draw.HeldOut} is what is held out; give one of both");
        if (Environment is not null) EnvironmentCatalogue.Find(Environment);
    }

    /// <summary>Algorithm, settings, data and options as JSON.</summary>
    public JsonObject ToJson()
    {
        JsonObject Names(IReadOnlyDictionary<string, string> pairs) => new(pairs.Select(c => KeyValuePair.Create(c.Key, (JsonNode?)JsonValue.Create(c.Value))));
        var json = new JsonObject { ["algorithm"] = Algorithm, ["settings"] = SettingsJson.ToJson(Settings), ["datasets"] = Names(Datasets), ["columns"] = Names(Columns) };
        foreach (var (_, key, _, property) in Options) json[key] = SettingsJson.ToJson(property.GetValue(this), property.PropertyType);
        return json;
    }

    /// <summary>The configuration of <see cref="ToJson"/>. Options that it lacks keep their defaults.</summary>
    /// <exception cref="SettingsException">A value does not fit.</exception>
    public static RunConfig FromJson(JsonObject json)
    {
        string algorithm = (string)json["algorithm"]!;
        Dictionary<string, string> Names(string key) => json[key]?.AsObject().ToDictionary(c => c.Key, c => (string)c.Value!) ?? [];
        return new RunConfig
        {
            Algorithm = algorithm,
            Settings = SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, json["settings"]!.AsObject()),
            Datasets = Names("datasets"),
            Columns = Names("columns"),
        }.With(Options.Where(o => json.ContainsKey(o.Key)).Select(o => KeyValuePair.Create(o.Key, json[o.Key])));
    }
}

/// <summary>What config.json of a run folder says: the configuration, and what the data decided.</summary>
/// <param name="Config">The configuration.</param>
/// <param name="Fingerprints">Of the data, by source.</param>
/// <param name="Spaces">What is seen, done and asked for.</param>
public sealed record RunInfo(RunConfig Config, IReadOnlyDictionary<string, string> Fingerprints, Spaces Spaces)
{
    private const int Format = 2;

    /// <summary>As config.json.</summary>
    public string ToJson()
    {
        var json = new JsonObject { ["format"] = Format };
        SpacesJson.Write(Spaces, json);
        json["fingerprints"] = new JsonObject(Fingerprints.Select(f => KeyValuePair.Create(f.Key, (JsonNode?)JsonValue.Create(f.Value))));
        foreach (var (key, value) in Config.ToJson()) json[key] = value?.DeepClone();
        return json.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";
    }

    /// <summary>Reads a run folder's config.json.</summary>
    /// <exception cref="InteropFormatException">Missing or damaged.</exception>
    public static RunInfo Read(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        if (!Directory.Exists(folder)) throw new InteropFormatException(folder, -1, "no such folder; expected a run made by engine train");
        if (!File.Exists(path)) throw new InteropFormatException(path, -1, "no such file; expected a run made by engine train");
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            if ((int)json["format"]! != Format) throw new InteropFormatException(path, -1, $"format {json["format"]}, expected {Format}: the run is of another version");
            return new RunInfo(RunConfig.FromJson(json), json["fingerprints"]!.AsObject().ToDictionary(f => f.Key, f => (string)f.Value!), SpacesJson.Read(json));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException or ArgumentException or OverflowException)
        {
            throw new InteropFormatException(path, -1, "not a run's configuration: " + e.Message.Split('\n')[0]);
        }
        catch (SettingsException e) { throw new InteropFormatException(path, -1, e.Message); }
    }
}
