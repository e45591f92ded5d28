using System.Text.Json.Nodes;
using Engine.Algorithms.Data;
using Engine.Algorithms.Diffusion;
using Engine.Algorithms.Evaluation;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Parity;

/// <summary>Something that the host computes in double precision and others have computed too: counts, and estimates from recorded trajectories.</summary>
/// <param name="Name">In fixtures.</param>
/// <param name="Compute">From inputs by name and settings; reports results by name.</param>
internal sealed record HostComputation(string Name, Action<SafetensorsFile, JsonObject, Action<string, double[]>> Compute)
{
    private static readonly HostComputation[] All = [Of("dataset-measures", DatasetMeasures.Recorded), Of("off-policy-evaluation", ImportanceSampling.Recorded), new("structural-entropy", TrajectorySegments.Recorded)];

    private static HostComputation Of(string name, Action<Func<string, double[]>, JsonObject, Action<string, double[]>> compute) => new(name, (inputs, settings, report) => compute(input => inputs[input].ToDoubles(), settings, report));

    /// <summary>The one of that name; null: there is none.</summary>
    public static HostComputation? Find(string name) => All.FirstOrDefault(c => c.Name == name);

    /// <summary>Its results of a fixture's inputs.</summary>
    public Func<string, double[]?> Run(SafetensorsFile inputs, JsonObject settings)
    {
        var results = new Dictionary<string, double[]>();
        Compute(inputs, settings, (name, values) => results[name] = values);
        return name => results.GetValueOrDefault(name);
    }
}
