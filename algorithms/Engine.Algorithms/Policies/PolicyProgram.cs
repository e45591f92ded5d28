using Engine.Autodiff;

namespace Engine.Algorithms.Policies;

/// <summary>A policy compiled for a number of rows: inputs <c>observations</c>, <c>goals</c>, <c>noise.NAME</c> and <c>memory.NAME</c>, outputs <c>actions</c> and <c>memory.NAME</c>.</summary>
public sealed class PolicyProgram
{
    internal PolicyProgram(PolicyGraph policy, PolicySource source, State state)
    {
        (Rows, Spaces, Draws, Memories, Horizon) = (policy.Rows, source.Spaces, policy.Draws, policy.Memories, source.Horizon);
        var actions = policy.Graph.Outputs["actions"].Type;
        if (actions.Elements != (long)Rows * Horizon.Planned * Spaces.Action.Size) throw new InvalidOperationException($"the policy gives {actions}, expected [{Rows}, {(Horizon.Planned == 1 ? "" : $"{Horizon.Planned}, ")}{Spaces.Action.Size}]");
        Program = new Program(policy.Graph, state);
    }

    /// <summary>The program.</summary>
    public Program Program { get; }

    /// <summary>Rows of a call.</summary>
    public int Rows { get; }

    /// <summary>What it sees, does and is asked for.</summary>
    public Spaces Spaces { get; }

    /// <summary>Draws that the host feeds.</summary>
    public IReadOnlyList<PolicyDraw> Draws { get; }

    /// <summary>What it remembers between two actions.</summary>
    public IReadOnlyList<PolicyMemory> Memories { get; }

    /// <summary>Actions planned at once, and how many of them are carried out.</summary>
    public (int Planned, int Executed) Horizon { get; }
}
