using System.Text.Json.Nodes;

namespace Engine.Algorithms.Training;

/// <summary>
/// Spaces as members of a JSON object: <c>observation</c> (a number of components, {"image": [height, width, channels]} or {"tokens": [length, vocabulary]}), <c>action_low</c> and <c>action_high</c> or <c>action_count</c>, <c>goal_components</c>;
/// null where there is none.
/// </summary>
internal static class SpacesJson
{
    public static void Write(Spaces spaces, JsonObject json)
    {
        static JsonArray? Numbers(float[]? values) => values is null ? null : new JsonArray(values.Select(v => (JsonNode)v).ToArray());
        json["observation"] = Write(spaces.Observation);
        json["action_low"] = Numbers((spaces.Action as ActionBounds)?.Low);
        json["action_high"] = Numbers((spaces.Action as ActionBounds)?.High);
        json["action_count"] = (spaces.Action as DiscreteActions)?.Count;
        json["goal_components"] = spaces.Goal is { } goal ? new JsonArray(goal.Components.Select(c => (JsonNode)c).ToArray()) : null;
    }

    /// <summary>Throws what readers of JSON throw, if it is damaged.</summary>
    public static Spaces Read(JsonObject json)
    {
        float[] Bounds(string key) => json[key]!.AsArray().Select(v => (float)v!).ToArray();
        ActionSpace action = json["action_count"] is { } count ? new DiscreteActions((int)count) : new ActionBounds(Bounds("action_low"), Bounds("action_high"));
        if (action is ActionBounds bounds && bounds.Low.Length != bounds.High.Length) throw new FormatException($"{bounds.Low.Length} numbers of action_low, {bounds.High.Length} of action_high");
        var goal = json["goal_components"] is JsonArray components ? new GoalSpace(components.Select(c => (int)c!).ToArray()) : null;
        return new Spaces(ReadObservation(json["observation"]!), action, goal);
    }

    private static JsonNode Write(Space space) => space switch
    {
        VectorSpace vector => vector.Length,
        ImageSpace image => new JsonObject { ["image"] = new JsonArray(image.Height, image.Width, image.Channels) },
        TokenSpace tokens => new JsonObject { ["tokens"] = new JsonArray(tokens.Length, tokens.Vocabulary) },
        _ => throw new NotSupportedException($"observations that are {space}"),
    };

    private static Space ReadObservation(JsonNode json)
    {
        if (json is not JsonObject about) return new VectorSpace((int)json);
        int[] sizes = about.First().Value!.AsArray().Select(v => (int)v!).ToArray();
        return about.First().Key switch
        {
            "image" => new ImageSpace(sizes[0], sizes[1], sizes[2]),
            "tokens" => new TokenSpace(sizes[0], sizes[1]),
            var kind => throw new FormatException($"observations of kind {kind}"),
        };
    }
}
