using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Engine.Algorithms;

/// <summary>
/// A method of the catalogue that is a part of another one, as a setting: <c>base=iql</c> on the command line and <c>base.expectile=0.9</c> for its own settings; in files its name, or an object with <c>algorithm</c> and settings.
/// What both have to agree on is the outer method's: batch size, normalisation of observations, bounds of actions.
/// </summary>
/// <param name="Algorithm">Its name in the catalogue.</param>
/// <param name="Settings">Its settings.</param>
public sealed record BaseMethod(string Algorithm, AlgorithmSettings Settings)
{
    private const string Name = "algorithm";
    private static readonly string[] OfOuter = ["batch_size", "normalize_observations", "normalizer_epsilon", "max_action"];

    /// <summary>Builds it as a part of another method.</summary>
    /// <param name="context">The outer method's; what it sees may be another space.</param>
    /// <param name="outer">The outer method's settings.</param>
    public Algorithm Create(AlgorithmContext context, AlgorithmSettings outer)
    {
        var given = SettingsJson.ToJson(outer);
        var own = SettingsJson.ToJson(Settings);
        var values = OfOuter.Where(n => own.ContainsKey(n) && given.ContainsKey(n)).Select(n => KeyValuePair.Create(n, n == "normalize_observations" ? JsonValue.Create(false) : given[n]));
        return AlgorithmCatalogue.Find(Algorithm).Create(context, SettingsJson.With(Settings, values));
    }

    /// <summary>The name, and the settings without the outer method's.</summary>
    internal sealed class Json : JsonConverter<BaseMethod>
    {
        /// <inheritdoc/>
        public override BaseMethod? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
        {
            var node = JsonNode.Parse(ref reader);
            string name = node is JsonObject part ? (string?)part[Name] ?? throw new JsonException("no algorithm") : node is JsonValue value && value.TryGetValue(out string? text) ? text : throw new JsonException("neither a name nor an object");
            var settings = (node as JsonObject)?.Where(p => p.Key != Name).ToArray() ?? [];
            if (settings.FirstOrDefault(p => OfOuter.Contains(p.Key)).Key is { } outer) throw new SettingsException($"{outer} of {name}: it is set for the whole method; give it without a name in front");
            return new BaseMethod(name, SettingsJson.With(AlgorithmCatalogue.Find(name).Defaults, settings));
        }

        /// <inheritdoc/>
        public override void Write(Utf8JsonWriter writer, BaseMethod value, JsonSerializerOptions options)
        {
            var json = new JsonObject { [Name] = value.Algorithm };
            foreach (var (name, setting) in SettingsJson.ToJson(value.Settings))
                if (!OfOuter.Contains(name)) json[name] = setting?.DeepClone();
            json.WriteTo(writer, options);
        }
    }
}
