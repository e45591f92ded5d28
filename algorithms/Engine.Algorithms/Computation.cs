using System.Text.Json.Nodes;
using Engine.Algorithms.Diffusion;
using Engine.Algorithms.Parity;
using Engine.Autodiff;

namespace Engine.Algorithms;

/// <summary>Something besides an algorithm's updates that independent implementations have computed and Engine computes too: a traced function of named tensors.</summary>
/// <param name="Name">In fixtures.</param>
/// <param name="Trace">Traces it.</param>
public sealed record Computation(string Name, Action<Computing> Trace)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<Computation> All { get; } =
    [
        new("samplers", RecordedSamplers.Trace),
        new("value-distributions", ClosedForms.ValueDistributions),
        new("returns", ClosedForms.Returns),
    ];
}

/// <summary>What a computation is given, and where its results go.</summary>
/// <param name="Graph">Where it is traced.</param>
/// <param name="Input">A tensor by its name.</param>
/// <param name="Settings">Numbers and choices.</param>
public sealed record Computing(Graph Graph, Func<string, Tensor> Input, JsonObject Settings)
{
    /// <summary>A number of the settings.</summary>
    /// <exception cref="SettingsException">There is none of that name.</exception>
    public double Number(string name) => Settings[name] is JsonValue value && value.TryGetValue(out double number) ? number : throw new SettingsException($"{name}={Settings[name]?.ToJsonString() ?? "null"}: expected a number");

    /// <summary>A whole number of the settings.</summary>
    /// <exception cref="SettingsException">There is none of that name.</exception>
    public int Count(string name) => Number(name) is var number && number == Math.Floor(number) && Math.Abs(number) < int.MaxValue ? (int)number : throw new SettingsException($"{name}={Number(name)}: expected a whole number");

    /// <summary>Keeps a result.</summary>
    public void Report(string name, Tensor value) => Graph.Output(name, value);
}
