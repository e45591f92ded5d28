using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>A policy over K actions: softmax of an MLP's outputs.</summary>
public sealed class CategoricalActor : Module
{
    private readonly Mlp _mlp;

    /// <summary>Creates <c>layer0...</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actions">K.</param>
    /// <param name="settings">Hidden layers and how they begin.</param>
    public CategoricalActor(Builder at, int observationSize, int actions, MlpSettings settings) => _mlp = new Mlp(at, observationSize, actions, settings);

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _mlp.Parameters;

    /// <summary>The distribution at observations [B, S].</summary>
    public Categorical At(Tensor observations) => new(_mlp.Apply(observations));

    /// <summary>The policy's action [rows, 1]: the most probable one, or a draw.</summary>
    public Tensor Act(Acting a) => Choice.Of(a, At(a.Observations).Logits).Cast(DType.F32).Expand(-1);
}
