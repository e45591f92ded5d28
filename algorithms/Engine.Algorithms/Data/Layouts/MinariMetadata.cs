using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Interop.Hdf5;

namespace Engine.Algorithms.Data.Layouts;

/// <summary>What a Minari dataset says about itself: metadata.json beside the file, before Minari 0.5 attributes of the file.</summary>
internal static class MinariMetadata
{
    internal static readonly JsonDocumentOptions NoDuplicates = new() { AllowDuplicateProperties = false };

    /// <summary>Reads it; null where there is none.</summary>
    public static JsonObject? Read(Hdf5Group root, string path)
    {
        string file = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "metadata.json");
        if (File.Exists(file))
        {
            try { return JsonNode.Parse(File.ReadAllText(file), documentOptions: NoDuplicates) as JsonObject; }
            catch (JsonException e) { throw new DatasetException($"{file}: not valid JSON, line {(e.LineNumber ?? 0) + 1}"); }
        }
        var found = new JsonObject();
        foreach (var (name, attribute) in root.Attributes)
            if (attribute.Count == 1 && attribute.ElementType != Hdf5ElementType.Unsupported)
                found[name] = attribute.ElementType is Hdf5ElementType.FixedString or Hdf5ElementType.VariableString ? JsonValue.Create(attribute.ReadStrings()[0]) : attribute.ReadDoubles()[0] is var number && double.IsFinite(number) ? JsonValue.Create(number) : null;
        return found.Count > 0 ? found : null;
    }

    /// <summary>A dataset with the action space and the references of its metadata.</summary>
    /// <exception cref="DatasetException">The actions are none of the space.</exception>
    public static Dataset Apply(JsonObject metadata, (ActionSpace? Space, int Start) stated, Dataset data, string path)
    {
        if (stated.Space is DiscreteActions discrete)
        {
            if (data.ActionSize != 1) throw new DatasetException($"{path}: actions have {data.ActionSize} components, the metadata say {discrete}");
            for (int i = 0; i < data.Count; i++)
            {
                data.Actions[i] -= stated.Start;
                if (!(data.Actions[i] >= 0 && data.Actions[i] < discrete.Count && data.Actions[i] == MathF.Truncate(data.Actions[i]))) throw new DatasetException($"{path}: actions, row {i} is {data.Actions[i] + stated.Start}, expected a whole number from {stated.Start} to {stated.Start + discrete.Count - 1}");
            }
        }
        return data with { ActionSpace = stated.Space ?? data.ActionSpace, References = References(metadata) };
    }

    /// <summary>The dataset's name.</summary>
    public static string? Name(JsonObject metadata) => Text(metadata["dataset_id"]);

    private static (double, double)? References(JsonObject metadata) =>
        metadata["ref_min_score"] is JsonValue low && low.TryGetValue(out double min) && metadata["ref_max_score"] is JsonValue high && high.TryGetValue(out double max) && double.IsFinite(max - min) && min < max ? (min, max) : null;

    /// <summary>A JSON text; null of anything else.</summary>
    public static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>Gymnasium's space as Minari writes it: JSON in a string. Null of a box without finite bounds; a discrete space may begin at another number than 0.</summary>
    /// <exception cref="DatasetException">It is damaged, or of a kind that is not read.</exception>
    public static (ActionSpace? Space, int Start) Space(JsonObject metadata, string path)
    {
        if (Text(metadata["action_space"]) is not { } text || text.Contains("Infinity", StringComparison.Ordinal)) return (null, 0); // Python's word for no bound, which is not JSON
        string? type;
        try
        {
            var space = JsonNode.Parse(text, documentOptions: NoDuplicates)!;
            type = Text(space["type"]);
            switch (type)
            {
                case "Discrete":
                    int count = (int)space["n"]!, start = space["start"] is { } s ? (int)s : 0;
                    if (count >= 2 && start is > -(1 << 20) and < 1 << 20) return (new DiscreteActions(count), start);
                    throw new DatasetException($"{path}: the action space in metadata.json has {count} discrete actions from {start}, expected at least 2");
                case "Box":
                    var (low, high) = (Numbers(space["low"]!), Numbers(space["high"]!));
                    if (low.Depth != high.Depth || low.Values.Count != high.Values.Count || low.Values.Count == 0) throw new FormatException();
                    return (low.Values.Zip(high.Values).All(b => float.IsFinite(b.First) && float.IsFinite(b.Second) && b.First < b.Second) ? new ActionBounds([.. low.Values], [.. high.Values]) : null, 0);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException or OverflowException or ArgumentException)
        {
            throw new DatasetException($"{path}: the action space in metadata.json cannot be read: expected a space of Gymnasium as JSON, type Box with low and high or Discrete with n");
        }
        throw new DatasetException($"{path}: the action space is {type ?? "of no type"}: expected Box or Discrete");
    }

    /// <summary>Numbers of a scalar, a list or lists of lists, and how deep they are.</summary>
    private static (List<float> Values, int Depth) Numbers(JsonNode node)
    {
        var values = new List<float>();
        int deepest = 0;
        var open = new Stack<(JsonNode Node, int Depth)>();
        open.Push((node, 0));
        while (open.TryPop(out var next))
        {
            if (next.Node is JsonArray list)
                for (int i = list.Count - 1; i >= 0; i--) open.Push((list[i]!, next.Depth + 1));
            else values.Add((float)next.Node);
            deepest = Math.Max(deepest, next.Depth);
        }
        return (values, deepest);
    }
}
