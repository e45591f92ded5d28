using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Engine.Interop;

namespace Engine.Algorithms;

/// <summary>Settings as JSON with snake_case names.</summary>
public static class SettingsJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new BaseMethod.Json(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        WriteIndented = true,
    };

    /// <summary>The name of a setting in files and on the command line.</summary>
    public static string NameOf(PropertyInfo property) => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);

    /// <summary>All values.</summary>
    public static JsonObject ToJson(AlgorithmSettings settings) => JsonSerializer.SerializeToNode(settings, settings.GetType(), Options)!.AsObject();

    /// <summary>One value of any setting's type.</summary>
    internal static JsonNode? ToJson(object? value, Type type) => JsonSerializer.SerializeToNode(value, type, Options);

    /// <summary>A value of that type.</summary>
    /// <exception cref="SettingsException">It does not fit the type.</exception>
    internal static object? FromJson(string name, JsonNode? value, Type type)
    {
        try { return value.Deserialize(type, Options); }
        catch (Exception e) when (e is JsonException or InvalidOperationException) { throw new SettingsException($"{name}={value?.ToJsonString() ?? "null"}: expected {Expected(type, "a value of type " + type.Name)}"); }
    }

    /// <summary>The defaults with the given values put in.</summary>
    /// <exception cref="SettingsException">A name is unknown or a value does not fit its type or range.</exception>
    public static AlgorithmSettings With(AlgorithmSettings defaults, IEnumerable<KeyValuePair<string, JsonNode?>> values)
    {
        var json = ToJson(defaults);
        var types = defaults.GetType().GetProperties().ToDictionary(NameOf, p => p.PropertyType);
        foreach (var (name, value) in values)
        {
            // METHOD.SETTING is one of a method that is a part of this one.
            string[] path = name.Split('.', 2);
            if (path.Length == 2 && json[path[0]] is JsonObject part)
            {
                part[path[1]] = value?.DeepClone();
                json[path[0]] = ToJson(FromJson(path[0], part, typeof(BaseMethod)), typeof(BaseMethod));
                continue;
            }
            if (!json.ContainsKey(name)) throw new SettingsException($"hyper-parameter {name} is unknown; {NearNames.Describe(name, json.Select(p => p.Key))}");
            // One width is a list of one.
            json[name] = json[name] is JsonArray && value is JsonValue ? new JsonArray(value.DeepClone()) : value?.DeepClone();
            try { json = ToJson((AlgorithmSettings)json.Deserialize(defaults.GetType(), Options)!); }
            catch (JsonException) { throw new SettingsException($"{name}={Text(value)}: expected {Expected(types[name], "a value like " + (ToJson(defaults)[name]?.ToJsonString() ?? "a number"))}"); }
        }
        var settings = (AlgorithmSettings)json.Deserialize(defaults.GetType(), Options)!;
        settings.Validate();
        return settings;
    }

    private static string Text(JsonNode? value) => value is JsonValue v && v.TryGetValue(out string? text) ? text : value?.ToJsonString() ?? "null";

    private static string Expected(Type type, string otherwise) => (Nullable.GetUnderlyingType(type) ?? type) is { IsEnum: true } choice ? Choices(choice) : otherwise;

    /// <summary>The names of an enum's values in words.</summary>
    internal static string Choices(Type choice)
    {
        var names = Enum.GetValues(choice).Cast<object>().Select(v => JsonSerializer.SerializeToNode(v, choice, Options)!.GetValue<string>()).ToArray();
        return names.Length == 1 ? names[0] : $"{string.Join(", ", names[..^1])} or {names[^1]}";
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
