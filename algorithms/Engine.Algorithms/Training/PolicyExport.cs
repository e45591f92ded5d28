using System.Globalization;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Training;

/// <summary>Writes the weights of a trained policy for other programs.</summary>
public static class PolicyExport
{
    /// <summary>Writes a checkpoint's policy: the tensors named actor.* (of discrete value methods critics.*) and normalizer.*, with metadata that say what they are for.</summary>
    /// <param name="run">A run folder.</param>
    /// <param name="checkpoint">last, best, or a step.</param>
    /// <param name="path">The file.</param>
    /// <param name="all">Every variable of the checkpoint.</param>
    /// <returns>Number of tensors.</returns>
    public static int Write(string run, string checkpoint, string path, bool all = false)
    {
        var (config, _, spaces) = RunInfo.Read(run);
        var (step, source) = Checkpoint.Find(run, checkpoint);
        var file = SafetensorsFile.Read(source);
        bool hasActor = file.Tensors.Any(t => t.Name.StartsWith("actor.", StringComparison.Ordinal));
        string network = hasActor ? "actor." : "critics.";
        var tensors = file.Tensors.Where(t => all || t.Name.StartsWith(network, StringComparison.Ordinal) || t.Name.StartsWith("normalizer.", StringComparison.Ordinal)).ToArray();
        var metadata = new Dictionary<string, string>
        {
            ["algorithm"] = config.Algorithm,
            ["settings"] = SettingsJson.ToJson(config.Settings).ToJsonString(),
            ["step"] = step.ToString(CultureInfo.InvariantCulture),
            ["observation_size"] = spaces.Observation.Size.ToString(CultureInfo.InvariantCulture),
        };
        if (spaces.Action is ActionBounds bounds)
        {
            metadata["action_low"] = string.Join(",", bounds.Low.Select(v => v.ToString("R", CultureInfo.InvariantCulture)));
            metadata["action_high"] = string.Join(",", bounds.High.Select(v => v.ToString("R", CultureInfo.InvariantCulture)));
        }
        else metadata["action_count"] = ((DiscreteActions)spaces.Action).Count.ToString(CultureInfo.InvariantCulture);
        SafetensorsFile.Write(path, tensors, metadata);
        return tensors.Length;
    }
}
