using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>N critics that give values to every one of K actions. One alone has the parameters of a network of its own, without an axis of members.</summary>
public sealed class DiscreteCritics : Module
{
    private readonly Mlp _mlp;
    private readonly bool _alone;

    /// <summary>Creates <c>layer0...</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actions">K.</param>
    /// <param name="members">N.</param>
    /// <param name="settings">Hidden layers and how they begin.</param>
    public DiscreteCritics(Builder at, int observationSize, int actions, int members, MlpSettings settings) =>
        (_alone, _mlp) = (members == 1, new Mlp(at, observationSize, actions, settings, members == 1 ? null : members));

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _mlp.Parameters;

    /// <summary>Values [N, B, K] at observations [B, S].</summary>
    public Tensor Values(Tensor observations)
    {
        var values = _mlp.Apply(observations);
        return _alone ? values.Expand(0) : values;
    }

    /// <summary>The values [N, B] of one action a row, I32 [B], out of values [N, B, K].</summary>
    public static Tensor Of(Tensor values, Tensor actions) =>
        values.TakeAlongLast(actions.BroadcastTo(values.Shape.Without(2)).Expand(-1)).Squeeze(-1);
}
