using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>N critics Q(s, a) in one buffer per parameter; their values are numbers, or distributions whose expectations are the values.</summary>
public sealed class CriticEnsemble : Module
{
    private readonly Mlp _mlp;
    private readonly ValueSupport? _support;

    /// <summary>Creates <c>layer0...</c> (and <c>norm0...</c>).</summary>
    /// <param name="at">Where.</param>
    /// <param name="inputs">S + A.</param>
    /// <param name="members">N.</param>
    /// <param name="settings">Hidden layers and how they begin.</param>
    /// <param name="support">The bins of values that are distributions; null: they are numbers.</param>
    public CriticEnsemble(Builder at, int inputs, int members, MlpSettings settings, ValueSupport? support = null) => (_mlp, _support) = (new Mlp(at, inputs, support?.Count ?? 1, settings, Members = members), support);

    /// <summary>N.</summary>
    public int Members { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => _mlp.Parameters;

    /// <summary>Values [N, B] of actions [B, A], the same for all members, at observations [B, S].</summary>
    public Tensor Q(Tensor observations, Tensor actions) => Value(Outputs(observations, actions));

    /// <summary>The logits [N, B, n] of distributions, of values that are numbers themselves [N, B, 1]: of actions [B, A] at observations [B, S].</summary>
    public Tensor Outputs(Tensor observations, Tensor actions) => _mlp.Apply(Tensor.Concat(-1, observations, actions));

    /// <summary>Values [N, B] of actions [N, B, A], which each member has of its own, at observations [B, S].</summary>
    public Tensor QPerMember(Tensor observations, Tensor actions) => Q(observations.BroadcastTo([actions.Shape[0], .. observations.Shape]), actions);

    /// <summary>Values [N, B, n] of n actions a row [B, n, A] at observations [B, S].</summary>
    public Tensor QOfEach(Tensor observations, Tensor actions)
    {
        int rows = actions.Shape[0], n = actions.Shape[1];
        var repeated = observations.Expand(1).BroadcastTo([rows, n, observations.Shape[1]]).Reshape(rows * n, -1);
        return Q(repeated, actions.Reshape(rows * n, -1)).Reshape(Members, rows, n);
    }

    /// <summary>Values [B] that one member gives to actions [B, A] at observations [B, S]; the others are not computed.</summary>
    public Tensor Q(Tensor observations, Tensor actions, int member) => Value(_mlp.Apply(Tensor.Concat(-1, observations, actions), member: member));

    private Tensor Value(Tensor outputs) => _support is null ? outputs.Squeeze(-1) : _support.BinMean(outputs);
}
