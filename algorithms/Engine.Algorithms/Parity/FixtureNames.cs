using System.Text.Json.Nodes;

namespace Engine.Algorithms.Parity;

/// <summary>Where fixtures use other names than Engine, or state what Engine has no choice about.</summary>
internal static class FixtureNames
{
    /// <summary>Settings that Engine has under another name.</summary>
    private static readonly Dictionary<string, string> Settings = new() { ["double"] = "double_q", ["normalize_states"] = "normalize_observations" };

    /// <summary>What must have one value, which is the only one that Engine knows.</summary>
    private static readonly Dictionary<string, string> Fixed = new() { ["optimizer"] = "\"adam\"", ["bc_updates"] = "0", ["weight_decay_of"] = "\"actor\"" };

    /// <summary>Diagnostics of references that Engine reports under another name.</summary>
    private static readonly Dictionary<string, string> Outputs = new() { ["diagnostic.entropy"] = "entropy" };

    /// <summary>A hyper-parameter as Engine's setting; null where it has no effect on updates whose parameters are given.</summary>
    public static (string Name, JsonNode? Value)? Setting(string name, JsonNode? value, Action<string> error)
    {
        // Parameters are given, so how they began does not matter.
        if (name.EndsWith("_init", StringComparison.Ordinal) || name == "init") return null;
        if (Fixed.TryGetValue(name, out string? only))
        {
            if (value?.ToJsonString() != only) error($"{value?.ToJsonString() ?? "null"}, Engine knows {only} only");
            return null;
        }
        // What was recorded, not how.
        if (name.StartsWith("episode_", StringComparison.Ordinal)) return null;
        // What the algorithm's name says.
        if (name == "actor_type") return null;
        // Where the networks have one place for it, which they always have.
        if (name == "layer_norm_position" && value?.ToJsonString() == "\"block and value input\"") return null;
        // Learning rates are given as numbers; the rule that made them is documentation.
        if (name == "learning_rate_scaling") return (name, "none");
        // Choices of several words have hyphens there.
        bool words = value?.GetValueKind() == System.Text.Json.JsonValueKind.String;
        return (Settings.GetValueOrDefault(name, name), words ? value!.GetValue<string>().Replace('-', '_') : value?.DeepClone());
    }

    /// <summary>The algorithm's settings that one of a fixture stands for: itself; of one learning rate for all networks that of each; of a weight of 0 for a term that the algorithm lacks none.</summary>
    public static IEnumerable<string> Own(string name, JsonNode? value, IReadOnlyList<string> settings)
    {
        if (settings.Contains(name)) return [name];
        if (name == "learning_rate") return settings.Where(s => s.EndsWith("_learning_rate", StringComparison.Ordinal));
        return name.EndsWith("_weight", StringComparison.Ordinal) && value?.ToJsonString() is "0" or "0.0" ? [] : [name];
    }

    /// <summary>The name under which Engine reports what a fixture expects.</summary>
    public static string Output(string tensor) => Outputs.GetValueOrDefault(tensor, tensor);
}
