using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>What environments share whose copies are vectors of float64 numbers.</summary>
/// <param name="copies">Copies stepped together.</param>
/// <param name="stateSize">Numbers in a state.</param>
public abstract class StateEnvironment(int copies, int stateSize) : IEnvironment
{
    private readonly double[] _state = new double[copies * stateSize];

    /// <inheritdoc/>
    public int Copies => copies;

    /// <inheritdoc/>
    public virtual int ObservationSize => stateSize;

    /// <inheritdoc/>
    public abstract ActionSpace ActionSpace { get; }

    /// <inheritdoc/>
    public abstract int MaxSteps { get; }

    /// <summary>The state of a copy, to read or to set.</summary>
    public Span<double> State(int copy) => _state.AsSpan(copy * stateSize, stateSize);

    /// <summary>The state that is seen so, if an observation says all of it: by default where it is the state itself.</summary>
    /// <param name="observation">[S]</param>
    /// <param name="s">Where the state is written.</param>
    /// <returns>False where observations hide a part of the state.</returns>
    public virtual bool TryState(ReadOnlySpan<float> observation, Span<double> s)
    {
        if (ObservationSize != stateSize) return false;
        for (int i = 0; i < s.Length; i++) s[i] = observation[i];
        return true;
    }

    /// <inheritdoc/>
    public virtual Spaces Spaces => new(ObservationSize, ActionSpace);

    /// <inheritdoc/>
    public virtual IReadOnlyList<string> Measures => [];

    /// <summary>True: the state is all that a step depends on. A subclass that keeps more overrides this and both methods.</summary>
    public virtual bool CanSave => true;

    /// <inheritdoc/>
    public virtual void Save(BinaryWriter to)
    {
        foreach (double value in _state) to.Write(value);
    }

    /// <inheritdoc/>
    public virtual void Load(BinaryReader from)
    {
        for (int i = 0; i < _state.Length; i++) _state[i] = from.ReadDouble();
    }

    /// <inheritdoc/>
    public void Goals(Span<float> goals)
    {
        int size = Spaces.Goal?.Size ?? 0;
        for (int i = 0; i < copies; i++) Goal(State(i), goals.Slice(i * size, size));
    }

    /// <summary>The goal of a copy.</summary>
    protected virtual void Goal(ReadOnlySpan<double> s, Span<float> goal) => throw new NotSupportedException($"{GetType().Name} has no goals");

    /// <inheritdoc/>
    public void Measure(Span<float> values)
    {
        for (int i = 0; i < copies; i++) Measure(State(i), values.Slice(i * Measures.Count, Measures.Count));
    }

    /// <summary>The measures of a copy's episode so far.</summary>
    protected virtual void Measure(ReadOnlySpan<double> s, Span<float> values) => throw new NotSupportedException($"{GetType().Name} measures nothing");

    /// <inheritdoc/>
    public void Reset(int copy, PhiloxStream random) => Reset(State(copy), random);

    /// <inheritdoc/>
    public void Observe(Span<float> observations)
    {
        for (int i = 0; i < copies; i++) Observe(State(i), observations.Slice(i * ObservationSize, ObservationSize));
    }

    /// <inheritdoc/>
    public void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals)
    {
        int size = ActionSpace.Size;
        for (int i = 0; i < copies; i++) (rewards[i], terminals[i]) = Step(State(i), actions.Slice(i * size, size));
    }

    /// <summary>Draws a start state.</summary>
    protected abstract void Reset(Span<double> s, PhiloxStream random);

    /// <summary>What is seen of a state: itself unless overridden.</summary>
    protected virtual void Observe(ReadOnlySpan<double> s, Span<float> observation)
    {
        for (int i = 0; i < s.Length; i++) observation[i] = (float)s[i];
    }

    /// <summary>One step: changes the state, returns the reward and whether the task ended.</summary>
    protected abstract (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action);

    /// <summary>Fills a state with uniform numbers.</summary>
    protected static void Uniform(Span<double> s, PhiloxStream random, double low, double high)
    {
        for (int i = 0; i < s.Length; i++) s[i] = random.NextUniform(low, high);
    }
}
