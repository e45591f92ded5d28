using Engine.Algorithms.Batches;
using Engine.Nn;

namespace Engine.Algorithms.Online;

/// <summary>Hyper-parameters of RLPD.</summary>
public record RlpdSettings : SacSettings
{
    /// <summary>The paper's: ten critics with layer normalisation, twenty critic steps an update on 256 rows each.</summary>
    public RlpdSettings() => (Critics, BatchSize, CriticLossReduction) = (10, 20 * 256, Reduction.Mean);

    /// <summary>Steps of the critics an update: the batch is cut into as many slices.</summary>
    [Source("Ball et al. 2023: 20"), AtLeast(1)]
    public int UtdRatio { get; init; } = 20;

    /// <summary>Target critics, drawn anew for every slice, whose minimum is the next value; null: all.</summary>
    [Source("Ball et al. 2023: 2, or 1"), AtLeast(1)]
    public int? TargetSubset { get; init; } = 2;

    /// <summary>Share of the batch from the source "offline"; 0: no offline data (REDQ).</summary>
    [Source("Ball et al. 2023: 0.5"), Within(0, 1)]
    public double OfflineShare { get; init; } = 0.5;

    /// <summary>Layer normalisation in the critics.</summary>
    [Source("Ball et al. 2023")]
    public bool CriticLayerNorm { get; init; } = true;

    /// <summary>Where it stands.</summary>
    [Source("ikostrikov/rlpd")]
    public LayerNormPosition LayerNormPosition { get; init; }

    /// <summary>Added to its variance.</summary>
    [Source("flax: 1e-6"), AtLeast(0)]
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(TargetSubset is null || TargetSubset <= Critics, "target_subset", TargetSubset ?? 0, $"at most critics={Critics}");
        Require(BatchSize % UtdRatio == 0, "batch_size", BatchSize, $"a multiple of utd_ratio={UtdRatio}");
    }

    /// <summary>What an update draws: offline data and the buffer, each its share.</summary>
    public IReadOnlyList<Draw> Draws() =>
    [
        .. OfflineShare > 0 ? new[] { new Draw(new Transitions(), Share: OfflineShare) } : [],
        .. OfflineShare < 1 ? new[] { new Draw(new Transitions(), Draw.Online, Share: 1 - OfflineShare) } : [],
    ];

    /// <inheritdoc/>
    public override MlpSettings CriticNetwork() => Network() with
    {
        LayerNormEpsilon = CriticLayerNorm ? LayerNormEpsilon : null,
        LayerNormAfterActivation = LayerNormPosition == LayerNormPosition.AfterActivation,
        LayerNormPerMember = true,
    };
}

/// <summary>Hyper-parameters of REDQ: RLPD's without offline data and layer normalisation.</summary>
public sealed record RedqSettings : RlpdSettings
{
    /// <summary>The paper's.</summary>
    public RedqSettings() => (OfflineShare, CriticLayerNorm) = (0, false);
}

/// <summary>
/// RLPD (Ball et al. 2023, "Efficient Online Reinforcement Learning with Offline Data", arXiv 2302.02948): SAC with half of every batch from offline data, layer normalisation, a large ensemble and many critic steps an update; without the offline
/// data REDQ (Chen et al. 2021, arXiv 2101.05982). Reference: ikostrikov/rlpd sac_learner.py.
/// </summary>
public sealed class Rlpd(AlgorithmContext context, RlpdSettings settings) : Sac(context, settings)
{
    /// <inheritdoc/>
    protected override IReadOnlyList<Draw> Draws => settings.Draws();

    /// <inheritdoc/>
    protected override void Update(Batch b)
    {
        var random = b.Graph.Random;
        int rows = settings.BatchSize / settings.UtdRatio;
        var noise = random.Normal("target", b.Actions.Shape);
        var subsets = settings.TargetSubset is { } count ? random.Choice("subset", settings.UtdRatio, count, settings.Critics) : null;
        for (int i = 0; i < settings.UtdRatio; i++)
        {
            int slice = i;
            UpdateCritics(b.Slice(i * rows, rows), next => (subsets is null ? next : next.Gather(subsets.At(0, slice))).Min(0), noise.Slice(0, i * rows, rows));
        }
        UpdateActor(b.Slice(settings.BatchSize - rows, rows), q => q.Mean(0));
    }
}
