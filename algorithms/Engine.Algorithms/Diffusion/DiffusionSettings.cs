using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>How noise grows over the steps.</summary>
public enum BetaSchedule
{
    /// <summary>The variance-preserving process (<see cref="NoiseSchedule.Vp"/>).</summary>
    Vp,
    /// <summary>A squared cosine (<see cref="NoiseSchedule.Cosine"/>).</summary>
    Cosine,
    /// <summary>A straight line, whose ends are those of 1,000 steps times 1000 / steps (<see cref="NoiseSchedule.Linear"/>).</summary>
    Linear,
}

/// <summary>Hyper-parameters that methods with critics and a denoising policy share. Observations are not normalised.</summary>
public abstract record DiffusionSettings : ActorCriticSettings
{
    /// <summary>The largest share of an action's amplitude that a schedule may leave in its last step: samplers begin with noise alone.</summary>
    private const double LargestRemainder = 0.5;

    /// <summary>As in the references: raw observations.</summary>
    protected DiffusionSettings() => NormalizeObservations = false;

    /// <summary>Steps from an action to noise.</summary>
    [Source("Wang et al. 2023, IDQL: 5; EDP: 1000"), AtLeast(1)]
    public int DiffusionSteps { get; init; } = 5;

    /// <summary>How noise grows over them.</summary>
    [Source("Wang et al. 2023, IDQL, EDP: vp")]
    public BetaSchedule BetaSchedule { get; init; } = BetaSchedule.Vp;

    /// <summary>Of the schedule vp: its rate at the beginning.</summary>
    [Source("Xiao et al. 2022: 0.1"), Above(0)]
    public double VpBetaMin { get; init; } = 0.1;

    /// <summary>Of the schedule vp: its rate at the end.</summary>
    [Source("Wang et al. 2023: 10"), Above(0)]
    public double VpBetaMax { get; init; } = 10;

    /// <summary>Features of the time.</summary>
    [Source("Wang et al. 2023, EDP: 16; IDQL: 64"), AtLeast(4)]
    public int TimeEmbeddingSize { get; init; } = 16;

    /// <summary>The schedule.</summary>
    /// <exception cref="ArgumentException">A step would add noise of a variance that is not between 0 and 1.</exception>
    public NoiseSchedule NoiseSchedule() => BetaSchedule switch
    {
        BetaSchedule.Cosine => Nn.Diffusion.NoiseSchedule.Cosine(DiffusionSteps),
        BetaSchedule.Linear => Nn.Diffusion.NoiseSchedule.Linear(DiffusionSteps),
        _ => Nn.Diffusion.NoiseSchedule.Vp(DiffusionSteps, VpBetaMin, VpBetaMax),
    };

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(TimeEmbeddingSize % 2 == 0, "time_embedding_size", TimeEmbeddingSize, "an even number");
        NoiseSchedule schedule;
        try { schedule = NoiseSchedule(); }
        catch (ArgumentException e) { throw new SettingsException($"beta_schedule={BetaSchedule.ToString().ToLowerInvariant()}: {e.Message}"); }
        double left = schedule.Signal(schedule.Steps - 1);
        if (!(left <= LargestRemainder))
            throw new SettingsException(FormattableString.Invariant($"beta_schedule={BetaSchedule.ToString().ToLowerInvariant()}: {DiffusionSteps} steps do not end in noise, {left:0.00} of an action is left; expected at most {LargestRemainder}"));
    }
}
