using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json;
using Engine.Algorithms.Environments;
using Engine.Algorithms.QEnsembles;
using Engine.Algorithms.ValueBased;
using Engine.Interop;

namespace Engine.Algorithms;

/// <summary>An algorithm Engine can train.</summary>
/// <param name="Name">On the command line and in fixtures.</param>
/// <param name="Summary">One line.</param>
/// <param name="Paper">Where it comes from.</param>
/// <param name="Defaults">Settings with the paper's values.</param>
/// <param name="Discrete">For discrete actions; the others are for continuous ones.</param>
/// <param name="Create">Builds it.</param>
public sealed record AlgorithmEntry(string Name, string Summary, string Paper, AlgorithmSettings Defaults, bool Discrete, Func<AlgorithmContext, AlgorithmSettings, Algorithm> Create)
{
    /// <summary>Every hyper-parameter: name, default as JSON, description of its source (empty if it has none).</summary>
    public IEnumerable<(string Name, string Default, string Source)> HyperParameters()
    {
        var values = SettingsJson.ToJson(Defaults);
        foreach (var property in Defaults.GetType().GetProperties().Where(p => p.SetMethod is not null).OrderBy(p => p.MetadataToken))
        {
            string name = JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);
            yield return (name, values[name]?.ToJsonString() ?? "null", property.GetCustomAttribute<SourceAttribute>()?.Text ?? "");
        }
    }
}

/// <summary>The algorithms, one line each.</summary>
public static class AlgorithmCatalogue
{
    /// <summary>All, in the order they are listed.</summary>
    public static IReadOnlyList<AlgorithmEntry> All { get; } =
    [
        Entry<BcSettings>("bc", "behaviour cloning with a deterministic policy", "CORL any_percent_bc.py", (c, s) => new Bc(c, s)),
        Entry<Td3BcSettings>("td3-bc", "TD3 with a behaviour-cloning term in the policy's loss", "Fujimoto and Gu 2021, arXiv 2106.06860", (c, s) => new Td3Bc(c, s)),
        Entry<IqlSettings>("iql", "implicit Q-learning: expectile values, advantage-weighted policy", "Kostrikov et al. 2021, arXiv 2110.06169", (c, s) => new Iql(c, s)),
        Entry<AwacSettings>("awac", "advantage-weighted actor-critic", "Nair et al. 2020, arXiv 2006.09359", (c, s) => new Awac(c, s)),
        Entry<SacNSettings>("sac-n", "SAC with the minimum over N critics", "An et al. 2021, arXiv 2110.01548", (c, s) => new SacN(c, s)),
        Entry<EdacSettings>("edac", "SAC-N with diversified critics", "An et al. 2021, arXiv 2110.01548", (c, s) => new Edac(c, s)),
        Entry<LbSacSettings>("lb-sac", "SAC-N with a large batch", "Nikulin et al. 2022, arXiv 2211.11092", (c, s) => new LbSac(c, s)),
        Entry<DiscreteBcSettings>("discrete-bc", "behaviour cloning of discrete actions", "cross-entropy; d3rlpy DiscreteBC", (c, s) => new DiscreteBc(c, s), discrete: true),
        Entry<DqnSettings>("dqn", "deep Q-learning, double by default, no constraint to the data", "Mnih et al. 2015; van Hasselt et al. 2016, arXiv 1509.06461", (c, s) => new Dqn(c, s), discrete: true),
    ];

    private static AlgorithmEntry Entry<T>(string name, string summary, string paper, Func<AlgorithmContext, T, Algorithm> create, bool discrete = false) where T : AlgorithmSettings, new() =>
        new(name, summary, paper, new T(), discrete, (context, settings) =>
        {
            settings.Validate();
            if (context.ActionSpace is DiscreteActions != discrete)
                throw new SettingsException($"{name} is for {(discrete ? "discrete" : "continuous")} actions, here are {context.ActionSpace}; for them there are {string.Join(", ", All!.Where(a => a.Discrete != discrete).Select(a => a.Name))}");
            return create(context, (T)settings);
        });

    /// <summary>The algorithm of that name.</summary>
    /// <exception cref="SettingsException">There is none; the message names the nearest.</exception>
    public static AlgorithmEntry Find(string name) => All.FirstOrDefault(a => a.Name == name)
        ?? throw new SettingsException($"algorithm {name} is unknown; {NearNames.Describe(name, All.Select(a => a.Name))}");
}

/// <summary>Settings as JSON with snake_case names.</summary>
public static class SettingsJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        WriteIndented = true,
    };

    /// <summary>All values.</summary>
    public static JsonObject ToJson(AlgorithmSettings settings) => JsonSerializer.SerializeToNode(settings, settings.GetType(), Options)!.AsObject();

    /// <summary>The defaults with the given values put in.</summary>
    /// <exception cref="SettingsException">A name is unknown or a value does not fit its type or range.</exception>
    public static AlgorithmSettings With(AlgorithmSettings defaults, IEnumerable<KeyValuePair<string, JsonNode?>> values)
    {
        var json = ToJson(defaults);
        foreach (var (name, value) in values)
        {
            if (!json.ContainsKey(name)) throw new SettingsException($"hyper-parameter {name} is unknown; {NearNames.Describe(name, json.Select(p => p.Key))}");
            // One width is a list of one.
            json[name] = json[name] is JsonArray && value is JsonValue ? new JsonArray(value.DeepClone()) : value?.DeepClone();
            try { _ = json.Deserialize(defaults.GetType(), Options); }
            catch (JsonException) { throw new SettingsException($"{name}={value?.ToJsonString() ?? "null"}: expected a value like {ToJson(defaults)[name]?.ToJsonString() ?? "a number"}"); }
        }
        var settings = (AlgorithmSettings)json.Deserialize(defaults.GetType(), Options)!;
        settings.Validate();
        return settings;
    }

    /// <summary>Command-line texts key=value.</summary>
    /// <exception cref="SettingsException">A text has no equals sign.</exception>
    public static IEnumerable<KeyValuePair<string, JsonNode?>> ParseAssignments(IEnumerable<string> texts) => texts.Select(text =>
        text.IndexOf('=', StringComparison.Ordinal) is var at and > 0
            ? KeyValuePair.Create(text[..at], ParseValue(text[(at + 1)..]))
            : throw new SettingsException($"--set {text}: expected key=value"));

    /// <summary>A command-line value: JSON if it parses as such (numbers, true, null, [64,64]), a comma-separated list of numbers, else text.</summary>
    public static JsonNode? ParseValue(string text)
    {
        try { return JsonNode.Parse(text); }
        catch (JsonException)
        {
            if (text.Contains(',', StringComparison.Ordinal))
                try { return JsonNode.Parse($"[{text}]"); }
                catch (JsonException) { /* text with a comma */ }
            return JsonValue.Create(text);
        }
    }
}
