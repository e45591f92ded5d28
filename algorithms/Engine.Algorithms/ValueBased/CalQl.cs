using Engine.Algorithms.Batches;
using Engine.Autodiff;

namespace Engine.Algorithms.ValueBased;

/// <summary>Hyper-parameters of Cal-QL; the defaults are CORL's.</summary>
public record CalQlSettings : CqlSettings
{
    /// <summary>How rows become a batch, returns aside.</summary>
    public virtual BatchKind Rows() => new Transitions();
}

/// <summary>Hyper-parameters of Cal-QL of action chunks.</summary>
public sealed record CalQlChunkSettings : CalQlSettings
{
    /// <summary>Actions of a chunk, carried out one after another.</summary>
    [Source("Li et al. 2025: 5"), AtLeast(1)]
    public int Chunk { get; init; } = 5;

    /// <inheritdoc/>
    public override int ActionsAtOnce() => Chunk;

    /// <inheritdoc/>
    public override BatchKind Rows() => new Chunks(Chunk);
}

/// <summary>
/// Cal-QL: CQL that does not push the values of the policy's actions below what the data's behaviour earned from there, so that fine-tuning need not first unlearn the pessimism (Nakamoto et al. 2023, "Cal-QL: Calibrated
/// Offline RL Pre-Training for Efficient Online Fine-Tuning", arXiv 2303.05479; reference: CORL cal_ql.py); of chunks of actions too.
/// </summary>
public sealed class CalQl(AlgorithmContext context, CalQlSettings settings) : Cql(context, settings)
{
    /// <inheritdoc/>
    public override IReadOnlyList<Stage> Stages => [.. base.Stages.Select(s => s with { Draws = [new Draw(new ReturnsToGo(settings.Discount, settings.Rows()))] })];

    /// <summary>Equation 3: at the policy's actions the larger of value and return; random ones stay as they are.</summary>
    protected override Tensor Values(Batch b, Tensor actions)
    {
        var values = base.Values(b, actions);
        int n = settings.SampledActions;
        var (random, own) = (values.Slice(-1, 0, n), values.Slice(-1, n, 2 * n));
        var returns = b["returns_to_go"].Reshape(1, -1, 1);
        Report("calibrated_fraction", (own < returns).Cast(Kernels.DType.F32).Mean());
        return Tensor.Concat(-1, random, own.Maximum(returns));
    }
}
