using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms;

/// <summary>What an agent sees, does and is asked for. Data, environments and policies agree on it before anything is trained.</summary>
/// <param name="Observation">What is seen.</param>
/// <param name="Action">What is done.</param>
/// <param name="Goal">What may be asked for; null: nothing.</param>
public sealed record Spaces(Space Observation, ActionSpace Action, GoalSpace? Goal = null)
{
    /// <summary>Vectors of so many numbers.</summary>
    public Spaces(int observationSize, ActionSpace action, GoalSpace? goal = null) : this(new VectorSpace(observationSize), action, goal) { }

    /// <summary>Whether what fits one fits the other: the same observations, as many discrete actions or continuous components, the same goals.</summary>
    public bool Fits(Spaces other) => Observation == other.Observation && Action.Fits(other.Action) && Goal == other.Goal;

    /// <summary>What may be asked for, where something must be.</summary>
    /// <exception cref="SettingsException">The task has no goals.</exception>
    public GoalSpace RequiredGoal => Goal ?? throw new SettingsException("the task has no goals: choose an environment with goals, or name the components of the observation that are the goal (--goal 0,1)");

    /// <inheritdoc/>
    public override string ToString() => $"{Observation} and {Action}{(Goal is null ? "" : $", {Goal}")}";
}

/// <summary>A set of values of one shape and type.</summary>
public abstract record Space
{
    /// <summary>Shape of one value.</summary>
    public abstract Shape Shape { get; }

    /// <summary>How a table stores it.</summary>
    public virtual DType Type => DType.F32;

    /// <summary>Numbers in one value; asked for in every action, so that it allocates nothing.</summary>
    public abstract int Size { get; }
}

/// <summary>Vectors of real numbers.</summary>
/// <param name="Length">Numbers, at least 1.</param>
public sealed record VectorSpace(int Length) : Space
{
    /// <inheritdoc/>
    public override Shape Shape => [Length];

    /// <inheritdoc/>
    public override int Size => Length;

    /// <inheritdoc/>
    public override string ToString() => $"{Length} observation{(Length == 1 ? "" : "s")}";
}

/// <summary>Images of bytes, stored as such and cast in the graph.</summary>
/// <param name="Height">Pixels.</param>
/// <param name="Width">Pixels.</param>
/// <param name="Channels">1 or 3 as a rule.</param>
public sealed record ImageSpace(int Height, int Width, int Channels) : Space
{
    /// <inheritdoc/>
    public override Shape Shape => [Height, Width, Channels];

    /// <inheritdoc/>
    public override int Size => checked(Height * Width * Channels);

    /// <inheritdoc/>
    public override DType Type => DType.U8;

    /// <inheritdoc/>
    public override string ToString() => $"images of {Height} x {Width} x {Channels}";
}

/// <summary>Sequences of token numbers, padded to one length.</summary>
/// <param name="Length">Tokens in a sequence at most.</param>
/// <param name="Vocabulary">Tokens are 0 to Vocabulary - 1.</param>
public sealed record TokenSpace(int Length, int Vocabulary) : Space
{
    /// <inheritdoc/>
    public override Shape Shape => [Length];

    /// <inheritdoc/>
    public override int Size => Length;

    /// <inheritdoc/>
    public override DType Type => DType.I32;

    /// <inheritdoc/>
    public override string ToString() => $"up to {Length} of {Vocabulary} tokens";
}

/// <summary>Goals: some components of an observation that are to have given values.</summary>
/// <param name="Components">Their places in an observation vector, such as 0 and 1 of (x, y, vx, vy).</param>
public sealed record GoalSpace(params int[] Components) : Space
{
    /// <inheritdoc/>
    public override Shape Shape => [Components.Length];

    /// <inheritdoc/>
    public override int Size => Components.Length;

    /// <summary>The goal that observations [..., S] have reached: [..., G].</summary>
    public Tensor Of(Tensor observations) => Components.AsSpan().SequenceEqual(Enumerable.Range(0, observations.Shape[^1]).ToArray()) ? observations
        : Tensor.Concat(-1, Array.ConvertAll(Components, c => observations.Slice(-1, c, 1)));

    /// <summary>1 where observations [..., S] have reached goals [..., G], all components equal, else 0: [...].</summary>
    public Tensor Reached(Tensor observations, Tensor goals) => Of(observations).EqualTo(goals).Cast(DType.F32).Min(-1);

    /// <summary>Equal when all places are.</summary>
    public bool Equals(GoalSpace? other) => other is not null && Components.AsSpan().SequenceEqual(other.Components);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Components.Length, Components[0]);

    /// <inheritdoc/>
    public override string ToString() => $"goals for the components {string.Join(", ", Components)}";
}

/// <summary>What an action is.</summary>
public abstract record ActionSpace : Space
{
    /// <summary>Whether a policy for one space can act in the other.</summary>
    public abstract bool Fits(ActionSpace other);
}

/// <summary>One of a fixed number of actions, stored as its index.</summary>
/// <param name="Count">At least 2; indices are 0 to Count - 1.</param>
public sealed record DiscreteActions(int Count) : ActionSpace
{
    /// <inheritdoc/>
    public override Shape Shape => [1];

    /// <inheritdoc/>
    public override int Size => 1;

    /// <inheritdoc/>
    public override bool Fits(ActionSpace other) => other is DiscreteActions { Count: var count } && count == Count;

    /// <inheritdoc/>
    public override string ToString() => $"{Count} discrete actions";
}

/// <summary>Continuous actions: lowest and highest value of each component.</summary>
/// <param name="Low">[A]</param>
/// <param name="High">[A], each above Low.</param>
public sealed record ActionBounds(float[] Low, float[] High) : ActionSpace
{
    /// <inheritdoc/>
    public override Shape Shape => [Low.Length];

    /// <inheritdoc/>
    public override int Size => Low.Length;

    /// <inheritdoc/>
    public override bool Fits(ActionSpace other) => other is ActionBounds bounds && bounds.Low.Length == Low.Length;

    /// <inheritdoc/>
    public override string ToString() => $"{Size} action{(Size == 1 ? "" : "s")} in [{string.Join(", ", Low)}] to [{string.Join(", ", High)}]";

    /// <summary>Equal when all bounds are.</summary>
    public bool Equals(ActionBounds? other) => other is not null && Low.AsSpan().SequenceEqual(other.Low) && High.AsSpan().SequenceEqual(other.High);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Low.Length, Low[0], High[0]);

    /// <summary>[-1, 1] in every component.</summary>
    public static ActionBounds Unit(int size) => new(Enumerable.Repeat(-1f, size).ToArray(), Enumerable.Repeat(1f, size).ToArray());

    /// <summary>From [-1, 1] to the environment's units.</summary>
    public float FromUnit(int component, float action) => Low[component] + (Math.Clamp(action, -1, 1) + 1) * 0.5f * (High[component] - Low[component]);

    /// <summary>From the environment's units to [-1, 1], not clipped.</summary>
    public float ToUnit(int component, float action) => (action - Low[component]) / (High[component] - Low[component]) * 2 - 1;
}
