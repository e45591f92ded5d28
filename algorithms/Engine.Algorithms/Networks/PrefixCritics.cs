using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>
/// N critics that value every beginning of a chunk of actions: causal transformers on the tokens state, a_1, ..., a_h, of which the one of a_i says Q(s, a_1 ... a_i) (the critic of T-SAC, arXiv 2503.03660).
/// </summary>
public sealed class PrefixCritics : Module
{
    private const double PositionStd = 0.02;

    private readonly LinearLayer _state, _action, _output;
    private readonly Variable _positions;
    private readonly CausalTransformer _transformer;
    private readonly int _length;

    /// <summary>Creates <c>state</c>, <c>action</c>, <c>positions</c>, <c>transformer</c> and <c>output</c>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="observationSize">S.</param>
    /// <param name="actionSize">A.</param>
    /// <param name="length">h.</param>
    /// <param name="members">N.</param>
    /// <param name="settings">Sizes.</param>
    public PrefixCritics(Builder at, int observationSize, int actionSize, int length, int members, TransformerSettings settings)
    {
        (Members, _length) = (members, length);
        LinearLayer Layer(string name, int inputs, int outputs) => new(at[name], members, inputs, outputs, Initialiser.GlorotUniform, Initialiser.Constant(0));
        (_state, _action, _output) = (Layer("state", observationSize, settings.Width), Layer("action", actionSize, settings.Width), Layer("output", settings.Width, 1));
        _positions = at.EnsembleParameter("positions", members, [length + 1, settings.Width], Initialiser.Normal(PositionStd), length + 1, settings.Width);
        _transformer = new CausalTransformer(at["transformer"], members, settings);
    }

    /// <summary>N.</summary>
    public int Members { get; }

    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => [.. _state.Parameters, .. _action.Parameters, _positions, .. _transformer.Parameters, .. _output.Parameters];

    /// <summary>Values [N, B, h] of every beginning of chunks [B, h, A], or [B, h A], at observations [B, S].</summary>
    public Tensor OfPrefixes(Tensor observations, Tensor chunks)
    {
        int rows = observations.Shape[0];
        var actions = _action.Apply(chunks.Reshape(rows * _length, -1)).Reshape(Members, rows, _length, -1);
        var tokens = Tensor.Concat(2, _state.Apply(observations).Expand(2), actions) + chunks.Graph.Read(_positions).Expand(1);
        var values = _output.Apply(_transformer.Apply(tokens).Reshape(Members, rows * (_length + 1), -1));
        return values.Reshape(Members, rows, _length + 1).Slice(-1, 1, _length);
    }

    /// <summary>Values [N, B] of whole chunks [B, h A].</summary>
    public Tensor Q(Tensor observations, Tensor chunks) => OfPrefixes(observations, chunks).At(-1, _length - 1);

    /// <summary>Values [N, B, n] of n whole chunks a row [B, n, h A].</summary>
    public Tensor QOfEach(Tensor observations, Tensor chunks)
    {
        int rows = chunks.Shape[0], n = chunks.Shape[1];
        var repeated = observations.Expand(1).BroadcastTo([rows, n, observations.Shape[1]]).Reshape(rows * n, -1);
        return Q(repeated, chunks.Reshape(rows * n, -1)).Reshape(Members, rows, n);
    }
}
