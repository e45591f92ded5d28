using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Interop;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Parity;

/// <summary>A recorded number of updates of an independent implementation: parameters, batches, draws, and what must come out.</summary>
public sealed class Fixture
{
    private readonly JsonObject _json;

    private Fixture(string folder, JsonObject json)
    {
        (Folder, _json) = (folder, json);
        Algorithm = Get<string>("algorithm");
        Updates = Get<int>("updates");
        BatchSize = Get<int>("batch_size");
        ObservationSize = Get<int>("observation_size");
        ActionSize = Get<int>("action_size");
        if (Get<int>("format") != 1) throw Error("format", "expected 1");
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

    /// <summary>Name of the algorithm.</summary>
    public string Algorithm { get; }

    /// <summary>K.</summary>
    public int Updates { get; }

    /// <summary>B.</summary>
    public int BatchSize { get; }

    /// <summary>S.</summary>
    public int ObservationSize { get; }

    /// <summary>A.</summary>
    public int ActionSize { get; }

    /// <summary>Parameters before the first update.</summary>
    public SafetensorsFile Initial { get; }

    /// <summary>Batches [K, B, ...].</summary>
    public SafetensorsFile Batches { get; }

    /// <summary>Draws [K, ...].</summary>
    public SafetensorsFile Noise { get; }

    /// <summary>Losses per update, parameters and moments after the last.</summary>
    public SafetensorsFile Expected { get; }

    /// <summary>The algorithm's settings as the fixture states them.</summary>
    public AlgorithmSettings Settings()
    {
        var values = new Dictionary<string, JsonNode?>
        {
            ["batch_size"] = BatchSize,
            ["max_action"] = Get<double>("max_action"),
        };
        foreach (var (name, value) in _json["hyperparameters"] as JsonObject ?? throw Error("hyperparameters", "expected an object"))
            // Parameters are given, so how they began does not matter here.
            if (name != "edac_init") values[name] = value;
        // The learning rates are given as numbers; the rule that made them is documentation.
        if (values.ContainsKey("learning_rate_scaling")) values["learning_rate_scaling"] = "none";
        try { return SettingsJson.With(AlgorithmCatalogue.Find(Algorithm).Defaults, values); }
        catch (SettingsException e) { throw new InteropFormatException(Path.Combine(Folder, "fixture.json"), -1, e.Message); }
    }

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
