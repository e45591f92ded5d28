namespace Engine.Algorithms.Policies;

/// <summary>
/// Acts in so many copies of a task at once, and remembers for each what its policy remembers. Evaluations, recordings, interaction while training and sessions in other people's programs all use this.
/// </summary>
public interface IActor
{
    /// <summary>Copies.</summary>
    int Rows { get; }

    /// <summary>Says in which copies an episode begins with the next observation: their memory and planned actions are forgotten.</summary>
    /// <param name="fresh">[Rows]</param>
    void Begin(ReadOnlySpan<bool> fresh);

    /// <summary>The next action in every copy.</summary>
    /// <param name="observations">[Rows, S]</param>
    /// <param name="goals">[Rows, G]; empty where there are no goals.</param>
    /// <param name="actions">[Rows, A] in [-1, 1]; of discrete actions [Rows, 1], the index.</param>
    void Act(ReadOnlySpan<float> observations, ReadOnlySpan<float> goals, Span<float> actions);
}

/// <summary>A policy without memory as a function: observations [rows, S] to actions [rows, A] in [-1, 1]; of discrete actions [rows, 1], the index.</summary>
public delegate void BatchPolicy(ReadOnlySpan<float> observations, int rows, Span<float> actions);

/// <summary>An actor that calls a function.</summary>
/// <param name="rows">Copies.</param>
/// <param name="act">The policy.</param>
public sealed class FunctionActor(int rows, BatchPolicy act) : IActor
{
    /// <inheritdoc/>
    public int Rows => rows;

    /// <inheritdoc/>
    public void Begin(ReadOnlySpan<bool> fresh) { }

    /// <inheritdoc/>
    public void Act(ReadOnlySpan<float> observations, ReadOnlySpan<float> goals, Span<float> actions) => act(observations, rows, actions);
}
