using Engine.Algorithms.Networks;
using Engine.Algorithms.ValueBased;
using Engine.Nn;
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

/// <summary>How noise is added and taken away, whatever else a method's settings are.</summary>
public interface IDenoising
{
    /// <summary>Steps from an action to noise.</summary>
    int DiffusionSteps { get; }

    /// <summary>How noise grows over them.</summary>
    BetaSchedule BetaSchedule { get; }

    /// <summary>Of the schedule vp: its rate at the beginning.</summary>
    double VpBetaMin { get; }

    /// <summary>Of the schedule vp: its rate at the end.</summary>
    double VpBetaMax { get; }

    /// <summary>Features of the time.</summary>
    int TimeEmbeddingSize { get; }
}

/// <summary>A denoising policy of IDQL's kind, whatever else a method's settings are: residual blocks with layer normalisation, a cosine of the learning rate, a slow copy that acts.</summary>
public interface IResNetPolicy : IDenoising
{
    /// <summary>Residual blocks.</summary>
    int Blocks { get; }

    /// <summary>Their width; four times that inside.</summary>
    int BlockWidth { get; }

    /// <summary>Epsilon of layer normalisation.</summary>
    double LayerNormEpsilon { get; }

    /// <summary>Share of a block's input dropped while training.</summary>
    double ActorDropout { get; }

    /// <summary>Actions lie within ± this.</summary>
    double MaxAction { get; }

    /// <summary>Learning rate of the policy.</summary>
    double ActorLearningRate { get; }

    /// <summary>How it goes on; cosine: to 0 over <see cref="ActorCosineDecayUpdates"/>.</summary>
    LearningRateSchedule ActorLearningRateSchedule { get; }

    /// <summary>Updates of that fall.</summary>
    int ActorCosineDecayUpdates { get; }
}

/// <summary>What those settings make.</summary>
public static class Denoising
{
    /// <summary>The largest share of an action's amplitude that a schedule may leave in its last step: samplers begin with noise alone.</summary>
    private const double LargestRemainder = 0.5;

    /// <summary>The schedule.</summary>
    /// <exception cref="ArgumentException">A step would add noise of a variance that is not between 0 and 1.</exception>
    public static NoiseSchedule NoiseSchedule(this IDenoising s) => s.BetaSchedule switch
    {
        BetaSchedule.Cosine => Nn.Diffusion.NoiseSchedule.Cosine(s.DiffusionSteps),
        BetaSchedule.Linear => Nn.Diffusion.NoiseSchedule.Linear(s.DiffusionSteps),
        _ => Nn.Diffusion.NoiseSchedule.Vp(s.DiffusionSteps, s.VpBetaMin, s.VpBetaMax),
    };

    /// <summary>Checks features and schedule.</summary>
    /// <exception cref="SettingsException">Says what was expected.</exception>
    public static void ValidateDenoising(this IDenoising s)
    {
        if (s.TimeEmbeddingSize % 2 != 0) throw new SettingsException($"time_embedding_size={s.TimeEmbeddingSize}: expected an even number");
        string name = $"beta_schedule={s.BetaSchedule.ToString().ToLowerInvariant()}";
        NoiseSchedule schedule;
        try { schedule = s.NoiseSchedule(); }
        catch (ArgumentException e) { throw new SettingsException($"{name}: {e.Message}"); }
        double left = schedule.Signal(schedule.Steps - 1);
        if (!(left <= LargestRemainder))
            throw new SettingsException(FormattableString.Invariant($"{name}: {s.DiffusionSteps} steps do not end in noise, {left:0.00} of an action is left; expected at most {LargestRemainder}"));
    }

    /// <summary>The policy, untrained.</summary>
    /// <param name="s">Its settings.</param>
    /// <param name="at">Where.</param>
    /// <param name="context">Sizes of observations and actions.</param>
    /// <param name="actionsAtOnce">Actions of a chunk.</param>
    /// <param name="sampler">How it is followed; null: the noise's own steps, every one clipped to the bounds.</param>
    public static DiffusionPolicy CreatePolicy(this IResNetPolicy s, Builder at, AlgorithmContext context, int actionsAtOnce = 1, Sampler? sampler = null)
    {
        var schedule = s.NoiseSchedule();
        int size = actionsAtOnce * context.ActionSize;
        var network = new LayerNormResNet(at, size, context.ObservationSize, new LayerNormResNetSettings(s.Blocks, s.BlockWidth, s.TimeEmbeddingSize, s.LayerNormEpsilon, s.ActorDropout));
        return new(network, size, schedule, Prediction.Noise, sampler ?? Samplers.DdpmOfNoise(schedule, Prediction.Noise, s.MaxAction));
    }

    /// <summary>The policy's learning rate.</summary>
    public static Schedule ActorRate(this IResNetPolicy s) => s.ActorLearningRateSchedule == LearningRateSchedule.Cosine ? new CosineSchedule(s.ActorLearningRate, s.ActorCosineDecayUpdates) : s.ActorLearningRate;

    /// <summary>Checks what ranges of single settings do not.</summary>
    /// <exception cref="SettingsException">Says what was expected.</exception>
    public static void ValidatePolicy(this IResNetPolicy s)
    {
        s.ValidateDenoising();
        if (!(s.ActorDropout < 1)) throw new SettingsException(FormattableString.Invariant($"actor_dropout={s.ActorDropout}: expected below 1"));
    }
}

/// <summary>Hyper-parameters that methods with critics and a denoising policy share. Observations are not normalised.</summary>
public abstract record DiffusionSettings : ActorCriticSettings, IDenoising
{
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

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        this.ValidateDenoising();
    }
}
