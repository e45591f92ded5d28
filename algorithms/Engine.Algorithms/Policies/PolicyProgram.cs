using Engine.Autodiff;

namespace Engine.Algorithms.Policies;

/// <summary>A policy compiled for a number of rows: inputs <c>observations</c>, <c>goals</c>, <c>noise.NAME</c> and <c>memory.NAME</c>, outputs <c>actions</c> and <c>memory.NAME</c>.</summary>
public sealed class PolicyProgram
{
    internal PolicyProgram(Program program, Acting acting, Spaces spaces, (int Planned, int Executed) horizon)
    {
        (Program, Rows, Spaces, Draws, Memories, Horizon) = (program, acting.Rows, spaces, acting.Draws, acting.Memories, horizon);
        long expected = (long)Rows * horizon.Planned * spaces.Action.Size, actual = program.OutputType("actions").Elements;
        if (actual != expected) throw new InvalidOperationException($"the policy gives {program.OutputType("actions")}, expected [{Rows}, {(horizon.Planned == 1 ? "" : $"{horizon.Planned}, ")}{spaces.Action.Size}]");
    }

    internal static (Graph Graph, Acting Acting) Trace(Algorithm algorithm, Spaces spaces, int rows, Mode mode)
    {
        var graph = new Graph();
        var acting = new Acting(graph, rows, spaces, mode);
        graph.Output("actions", algorithm.TracePolicy(acting));
        return (graph, acting);
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
