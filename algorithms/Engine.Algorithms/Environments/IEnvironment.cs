using Engine.Kernels;

namespace Engine.Algorithms.Environments;

/// <summary>
/// A batch of independent copies of a task, stepped together so that one policy call serves all of them. A custom environment implements this interface
/// and registers itself in <see cref="EnvironmentCatalogue"/>. One instance is used by one thread at a time; different instances may be stepped at the same time.
/// </summary>
public interface IEnvironment
{
    /// <summary>Number of copies.</summary>
    int Copies { get; }

    /// <summary>S, numbers in an observation.</summary>
    int ObservationSize { get; }

    /// <summary>What an action is: <see cref="ActionBounds"/> of continuous components, or <see cref="DiscreteActions"/>.</summary>
    ActionSpace ActionSpace { get; }

    /// <summary>Observations, actions and goals as one; goals where an environment overrides this.</summary>
    Spaces Spaces => new(ObservationSize, ActionSpace);

    /// <summary>Steps after which an episode is cut off (a time limit, not a terminal).</summary>
    int MaxSteps { get; }

    /// <summary>What is measured of an episode besides its return, such as success; evaluations report each.</summary>
    IReadOnlyList<string> Measures => [];

    /// <summary>Begins a new episode in one copy, its start state drawn from the stream.</summary>
    void Reset(int copy, PhiloxStream random);

    /// <summary>Observations of all copies, row-major [Copies, S].</summary>
    void Observe(Span<float> observations);

    /// <summary>Goals of all copies, row-major [Copies, G]; called where <see cref="Spaces"/> has goals.</summary>
    void Goals(Span<float> goals) => throw new NotSupportedException($"{GetType().Name} has goals in its spaces and no method Goals");

    /// <summary>The measures of every copy's episode so far, row-major [Copies, Measures].</summary>
    void Measure(Span<float> values) { }

    /// <summary>Whether <see cref="Save"/> and <see cref="Load"/> keep what a step depends on, so that a run that interacts can be resumed exactly.</summary>
    bool CanSave => false;

    /// <summary>Writes the state of all copies.</summary>
    void Save(BinaryWriter to) => throw new NotSupportedException($"{GetType().Name} cannot save its state");

    /// <summary>Reads what <see cref="Save"/> of as many copies wrote.</summary>
    void Load(BinaryReader from) => throw new NotSupportedException($"{GetType().Name} cannot load its state");

    /// <summary>Steps every copy.</summary>
    /// <param name="actions">[Copies, A] in the environment's units, beyond the bounds clipped as the task defines; of discrete actions [Copies], the index as a number.</param>
    /// <param name="rewards">[Copies]</param>
    /// <param name="terminals">[Copies], true where the task has ended. Such a copy must be reset before its next step counts.</param>
    void Step(ReadOnlySpan<float> actions, Span<float> rewards, Span<bool> terminals);
}
