using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Interop;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Parity;

/// <summary>A recorded number of updates of an independent implementation: parameters, batches, draws, and what must come out.</summary>
public sealed class Fixture
{
    private const string ClosedForm = "closed-form";

    private readonly JsonObject _json;

    private Fixture(string folder, JsonObject json)
    {
        (Folder, _json) = (folder, json);
        Kind = (string?)json["kind"] ?? "updates";
        if (Get<int>("format") != 1) throw Error("format", "expected 1");
        Algorithm = (string?)json["algorithm"] ?? (string?)json["name"] ?? Kind;
        if (Waits is not null) return;
        if (OnHost is not null)
        {
            (Inputs, Expected) = ([Load("inputs")], Load("expected"));
            return;
        }
        if (Computation is not null)
        {
            (Inputs, Expected) = (Kind == ClosedForm ? [Load("inputs")] : [Load("initial"), Load("noise")], Load("expected"));
            return;
        }
        Updates = Get<int>("updates");
        BatchSize = Get<int>("batch_size");
        ObservationSize = Get<int>("observation_size");
        ActionSize = Get<int>("action_size");
        foreach (var (name, value) in new[] { ("updates", Updates), ("batch_size", BatchSize), ("observation_size", ObservationSize), ("action_size", ActionSize) })
            if (value < 1) throw Error(name, "expected at least 1");
        Initial = Load("initial");
        Batches = Load("batches");
        Noise = Load("noise");
        Expected = Load("expected");
    }

    /// <summary>Reads a fixture's folder.</summary>
    /// <exception cref="InteropFormatException">A file is missing or not what it should be.</exception>
    public static Fixture Read(string folder)
    {
        string path = Path.Combine(folder, "fixture.json");
        if (!Directory.Exists(folder)) throw new InteropFormatException(folder, -1, "no such folder; expected a fixture (fixture.json and four .safetensors files)");
        if (!File.Exists(path)) throw new InteropFormatException(path, -1, "no such file; expected a fixture's description");
        try
        {
            return new Fixture(folder, JsonNode.Parse(File.ReadAllText(path)) as JsonObject ?? throw new InteropFormatException(path, 0, "expected a JSON object"));
        }
        catch (JsonException e) { throw new InteropFormatException(path, e.BytePositionInLine ?? 0, "not valid JSON: " + e.Message.Split('.')[0]); }
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>What it records: "updates" of an algorithm, or something computed at once ("closed-form", "structural-entropy").</summary>
    public string Kind { get; }

    /// <summary>Name of the algorithm, or of what is computed.</summary>
    public string Algorithm { get; }

    /// <summary>What Engine lacks to replay it, in words; null: nothing.</summary>
    public string? Waits => Computation is not null || OnHost is not null ? null : Kind != "updates" ? $"the {Kind} fixture {Algorithm} waits for its method"
        : AlgorithmCatalogue.All.Any(a => a.Name == Algorithm) ? null : $"waits for its algorithm: {Algorithm} is unknown; {NearNames.Describe(Algorithm, AlgorithmCatalogue.All.Select(a => a.Name))}";

    /// <summary>What it records, where that is no algorithm's updates; else null.</summary>
    public Computation? Computation => Kind is "updates" or ClosedForm ? Algorithms.Computation.All.FirstOrDefault(c => c.Name == Algorithm) : null;

    /// <summary>What the host computes, where it records that; else null.</summary>
    internal HostComputation? OnHost => Kind != "updates" ? HostComputation.Find(Algorithm) : null;

    /// <summary>Settings of what the host computes.</summary>
    internal JsonObject HostSettings => Kind != "closed-form" ? _json : _json["settings"] as JsonObject ?? throw Error("settings", "expected an object");

    /// <summary>Files with the inputs of a computation; none of updates.</summary>
    public IReadOnlyList<SafetensorsFile> Inputs { get; } = [];

    /// <summary>K; 0 of a computation.</summary>
    public int Updates { get; }

    /// <summary>B.</summary>
    public int BatchSize { get; }

    /// <summary>S.</summary>
    public int ObservationSize { get; }

    /// <summary>A, or the number of discrete actions.</summary>
    public int ActionSize { get; }

    /// <summary>What is seen, done and asked for: goals are whole observations.</summary>
    public Spaces Spaces => new(ObservationSize, AlgorithmCatalogue.Find(Algorithm).Discrete ? new DiscreteActions(ActionSize) : ActionBounds.Unit(ActionSize), new GoalSpace(Enumerable.Range(0, ObservationSize).ToArray()));

    /// <summary>Parameters before the first update.</summary>
    public SafetensorsFile Initial { get; } = null!;

    /// <summary>Batches [K, B, ...].</summary>
    public SafetensorsFile Batches { get; } = null!;

    /// <summary>Draws [K, ...].</summary>
    public SafetensorsFile Noise { get; } = null!;

    /// <summary>Losses per update, parameters and moments after the last.</summary>
    public SafetensorsFile Expected { get; } = null!;

    /// <summary>The algorithm's settings as the fixture states them.</summary>
    public AlgorithmSettings Settings()
    {
        var values = new Dictionary<string, JsonNode?> { ["batch_size"] = BatchSize };
        if (_json["max_action"] is { } bound && AlgorithmCatalogue.Find(Algorithm).Defaults is ContinuousSettings) values["max_action"] = bound.DeepClone();
        var entry = AlgorithmCatalogue.Find(Algorithm);
        string[] own = entry.HyperParameters().Select(h => h.Name).ToArray();
        // A method that is a part of this one has fixtures of its own.
        foreach (var part in entry.Defaults.GetType().GetProperties().Where(p => p.PropertyType == typeof(BaseMethod))) values[SettingsJson.NameOf(part)] = null;
        foreach (var (name, value) in HyperParameters)
            if (FixtureNames.Setting(name, value, message => throw Error(name, message)) is { } setting)
                foreach (string known in FixtureNames.Own(setting.Name, setting.Value, own)) values[known] = setting.Value?.DeepClone();
        try { return SettingsJson.With(AlgorithmCatalogue.Find(Algorithm).Defaults, values); }
        catch (SettingsException e) { throw new InteropFormatException(Path.Combine(Folder, "fixture.json"), -1, e.Message); }
    }

    /// <summary>The hyper-parameters as the fixture states them.</summary>
    public JsonObject HyperParameters => _json[Kind == ClosedForm ? "settings" : "hyperparameters"] as JsonObject ?? throw Error(Kind == ClosedForm ? "settings" : "hyperparameters", "expected an object");

    /// <summary>The fixture's own float32 tolerance of a tensor; 0 if it states none.</summary>
    public double Tolerance(string name) => (double?)(_json["tolerance"] as JsonObject)?[name] ?? 0;

    private T Get<T>(string name)
    {
        try { return (_json[name] ?? throw Error(name, "missing")).GetValue<T>(); }
        catch (Exception e) when (e is InvalidOperationException or FormatException) { throw Error(name, $"expected a {typeof(T).Name}, found {_json[name]!.ToJsonString()}"); }
    }

    private InteropFormatException Error(string name, string message) => new(Path.Combine(Folder, "fixture.json"), -1, $"{name}: {message}");

    private SafetensorsFile Load(string name)
    {
        string path = Path.Combine(Folder, name + ".safetensors");
        return File.Exists(path) ? SafetensorsFile.Read(path) : throw new InteropFormatException(path, -1, "no such file; a fixture needs it");
    }
}
