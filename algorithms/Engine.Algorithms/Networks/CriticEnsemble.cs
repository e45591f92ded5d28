using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>N critics Q(s, a) in one buffer per parameter.</summary>
public sealed class CriticEnsemble
{
    private readonly Mlp _mlp;

    /// <summary>Creates <c>layer0...</c> (and <c>norm0...</c>).</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">S + A.</param>
    /// <param name="members">N.</param>
    /// <param name="settings">Hidden layers and how they begin.</param>
    public CriticEnsemble(Builder at, int inputs, int members, MlpSettings settings) => _mlp = new Mlp(at, inputs, 1, settings, Members = members);

    /// <summary>N.</summary>
    public int Members { get; }

    /// <summary>All parameters.</summary>
    public IEnumerable<Variable> Parameters => _mlp.Parameters;

    /// <summary>Values [N, B] of actions [B, A] (shared by the members) or [N, B, A] (one set a member) at observations [B, S].</summary>
    public Tensor Q(Tensor observations, Tensor actions)
    {
        if (actions.Shape.Rank == 3) observations = observations.BroadcastTo([actions.Shape[0], .. observations.Shape]);
        return _mlp.Apply(Tensor.Concat(-1, observations, actions)).Squeeze(-1);
    }

    /// <summary>Values [B] that one member gives to actions [B, A] at observations [B, S]; the others are not computed.</summary>
    public Tensor Q(Tensor observations, Tensor actions, int member) => _mlp.Apply(Tensor.Concat(-1, observations, actions), member: member).Squeeze(-1);
}
