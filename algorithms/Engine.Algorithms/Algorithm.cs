using Engine.Algorithms.Environments;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms;

/// <summary>One batch of transitions, as tensors of the update's graph.</summary>
/// <param name="Observations">[B, S]</param>
/// <param name="Actions">[B, A], within ±MaxAction; of discrete actions [B, 1], the index.</param>
/// <param name="Rewards">[B]</param>
/// <param name="NextObservations">[B, S]</param>
/// <param name="Terminals">[B], 1 where the task ended (a time limit is no end).</param>
public sealed record Batch(Tensor Observations, Tensor Actions, Tensor Rewards, Tensor NextObservations, Tensor Terminals);

/// <summary>Hyper-parameters every algorithm has. In files and on the command line names are in snake_case.</summary>
public abstract record AlgorithmSettings
{
    /// <summary>Transitions per update.</summary>
    [Source("CORL: 256")]
    public int BatchSize { get; init; } = 256;

    /// <summary>Width of each hidden layer.</summary>
    [Source("CORL: 256 each")]
    public int[] HiddenSizes { get; init; } = [256, 256, 256];

    /// <summary>Activation between layers.</summary>
    public string Activation { get; init; } = "relu";

    /// <summary>Networks see (observation - mean) / std of the dataset.</summary>
    public bool NormalizeObservations { get; init; }

    /// <summary>Added to the standard deviation when normalising.</summary>
    [Source("CORL: 1e-3")]
    public double NormalizerEpsilon { get; init; } = 1e-3;

    /// <summary>Optimiser: adam, or adamw when weight_decay is not 0.</summary>
    public string Optimizer { get; init; } = "adam";

    /// <summary>Decay of Adam's first moment.</summary>
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>Decay of Adam's second moment.</summary>
    public double AdamBeta2 { get; init; } = 0.999;

    /// <summary>Adam's epsilon.</summary>
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Actions lie within ± this; 1 unless a fixture states another bound.</summary>
    public double MaxAction { get; init; } = 1;

    /// <summary>Throws unless every value is in its range.</summary>
    /// <exception cref="SettingsException">Says which value, and what was expected.</exception>
    public virtual void Validate()
    {
        Require(BatchSize >= 1, "batch_size", BatchSize, "at least 1");
        Require(HiddenSizes.Length >= 1 && HiddenSizes.All(h => h >= 1), "hidden_sizes", string.Join(",", HiddenSizes), "at least one width, each at least 1");
        Require(Optimizer is "adam" or "adamw", "optimizer", Optimizer, "adam or adamw");
        Require(MaxAction > 0, "max_action", MaxAction, "above 0");
        Require(AdamBeta1 is > 0 and < 1, "adam_beta1", AdamBeta1, "between 0 and 1");
        Require(AdamBeta2 is > 0 and < 1, "adam_beta2", AdamBeta2, "between 0 and 1");
        Require(WeightDecay == 0 || Optimizer == "adamw", "weight_decay", WeightDecay, "0, or optimizer=adamw: the decay is decoupled from the gradient");
        Require(AdamEpsilon >= 0, "adam_epsilon", AdamEpsilon, "at least 0");
        Require(NormalizerEpsilon >= 0, "normalizer_epsilon", NormalizerEpsilon, "at least 0");
        try { Activations.Named(Activation); }
        catch (ArgumentException e) { throw new SettingsException($"activation={Activation}: {e.Message}"); }
    }

    /// <summary>Throws unless the condition holds.</summary>
    protected static void Require(bool condition, string name, object value, string expected)
    {
        if (!condition) throw new SettingsException($"{name}={value}: expected {expected}");
    }

    /// <summary>The hidden layers, with PyTorch's initial values.</summary>
    internal MlpSettings Network() => new() { HiddenSizes = HiddenSizes, Activation = Activations.Named(Activation) };

    internal AdamSettings Adam(Schedule learningRate) => new()
    {
        LearningRate = learningRate,
        Beta1 = AdamBeta1,
        Beta2 = AdamBeta2,
        Epsilon = AdamEpsilon,
        WeightDecay = WeightDecay,
    };
}

/// <summary>Where a default comes from.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SourceAttribute(string text) : Attribute
{
    /// <summary>Paper, repository or table.</summary>
    public string Text => text;
}

/// <summary>A hyper-parameter that is unknown or out of range.</summary>
public sealed class SettingsException(string message) : Exception(message);

/// <summary>
/// An offline algorithm: networks and optimisers in a state, an update that is traced into a graph, and a deterministic policy. A subclass
/// creates its parts in its constructor and overrides <see cref="Update"/> and <see cref="Act"/>.
/// </summary>
public abstract class Algorithm
{
    private readonly Variable? _mean, _std;

    /// <summary>Adds what every algorithm has.</summary>
    protected Algorithm(AlgorithmContext context, AlgorithmSettings settings)
    {
        (Context, Parameters) = (context, new Builder(context.State, context.Seed));
        if (!settings.NormalizeObservations) return;
        _mean = context.State.Add("normalizer.mean", [context.ObservationSize], new float[context.ObservationSize], VariableKind.State);
        _std = context.State.Add("normalizer.std", [context.ObservationSize], Enumerable.Repeat(1f, context.ObservationSize).ToArray(), VariableKind.State);
    }

    /// <summary>State, seed and sizes.</summary>
    protected AlgorithmContext Context { get; }

    /// <summary>Where networks put their parameters.</summary>
    protected Builder Parameters { get; }

    /// <summary>Names of the losses and metrics an update makes, in the order to print them.</summary>
    public abstract IReadOnlyList<string> Metrics { get; }

    /// <summary>Whether observations are normalised, so that the dataset's statistics are needed.</summary>
    public bool Normalizes => _mean is not null;

    /// <summary>Number of programs an update may be: 1 unless some parts happen on some updates only (TD3+BC's policy moves every second update).</summary>
    public virtual int Phases => 1;

    /// <summary>Which of the programs update number <paramref name="step"/> (0, 1, ...) is.</summary>
    public virtual int PhaseOf(int step) => 0;

    /// <summary>The program that is being traced.</summary>
    protected int Phase { get; private set; }

    /// <summary>Traces one update: losses, optimiser steps, target networks, in this order.</summary>
    /// <param name="batch">Raw observations.</param>
    /// <param name="phase">Which of the <see cref="Phases"/>.</param>
    public void TraceUpdate(Batch batch, int phase = 0)
    {
        Phase = phase;
        Update(batch with { Observations = Normalize(batch.Observations), NextObservations = Normalize(batch.NextObservations) });
    }

    /// <summary>Traces the deterministic policy: raw observations [rows, S] to actions [rows, A] within ±MaxAction; of discrete actions [rows, 1], the index.</summary>
    public Tensor TracePolicy(Tensor observations) => Act(Normalize(observations));

    /// <summary>Traces one update on normalised observations.</summary>
    protected abstract void Update(Batch batch);

    /// <summary>Traces the deterministic policy on normalised observations.</summary>
    protected abstract Tensor Act(Tensor observations);

    private Tensor Normalize(Tensor observations) => _mean is null ? observations
        : (observations - observations.Graph.Read(_mean)) / observations.Graph.Read(_std!);

    /// <summary>Keeps a metric for the host.</summary>
    protected static void Report(string name, Tensor value) => value.Graph.Output(name, value);
}

/// <summary>What an algorithm is built for.</summary>
/// <param name="State">Where its variables go.</param>
/// <param name="Seed">Seed of the initial parameters.</param>
/// <param name="ObservationSize">S.</param>
/// <param name="ActionSpace">What an action is.</param>
public sealed record AlgorithmContext(State State, ulong Seed, int ObservationSize, ActionSpace ActionSpace)
{
    /// <summary>A; of discrete actions 1, the index.</summary>
    public int ActionSize => ActionSpace.Size;
}
