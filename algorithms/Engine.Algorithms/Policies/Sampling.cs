using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>What an algorithm is asked for when its trained networks are to be sampled: for so many rows, from states where it needs them, with draws by name.</summary>
/// <param name="Graph">Where it is traced.</param>
/// <param name="Rows">How many.</param>
/// <param name="State">The states [rows, S] to begin from, raw.</param>
/// <param name="Normal">Standard normals of a name and shape.</param>
public sealed record Sampling(Graph Graph, int Rows, Func<Tensor> State, Func<string, Shape, Tensor> Normal)
{
    /// <summary>Numbers that say what the draws stand for, by name, such as the lengths of recorded episodes.</summary>
    public Func<string, double[]> Numbers { get; init; } = name => throw new SettingsException($"{name}: no such numbers are given");

    /// <summary>Keeps something that is drawn.</summary>
    public void Report(string name, Tensor value) => Graph.Output(name, value);
}
