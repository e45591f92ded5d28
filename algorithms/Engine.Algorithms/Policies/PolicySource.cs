using Engine.Algorithms.Training;
using Engine.Autodiff;

namespace Engine.Algorithms.Policies;

/// <summary>The graph of a policy for a number of rows, and what the host feeds it beside observations and goals.</summary>
internal sealed record PolicyGraph(Graph Graph, int Rows, IReadOnlyList<PolicyDraw> Draws, IReadOnlyList<PolicyMemory> Memories)
{
    public static PolicyGraph Trace(Algorithm algorithm, int rows, Mode mode)
    {
        var graph = new Graph();
        var acting = new Acting(graph, rows, algorithm.Context.Spaces, mode);
        graph.Output("actions", algorithm.TracePolicy(acting));
        return new PolicyGraph(graph, rows, acting.Draws, acting.Memories);
    }
}

/// <summary>Where a policy comes from: the code of an algorithm, or a file. Several policies may share it, each with weights of its own.</summary>
/// <param name="Spaces">What it sees, does and is asked for.</param>
/// <param name="Horizon">Actions planned at once, and how many of them are carried out.</param>
/// <param name="Graphs">Its graph for exactly so many rows, made anew by every call.</param>
internal sealed record PolicySource(Spaces Spaces, (int Planned, int Executed) Horizon, Func<int, Mode, PolicyGraph> Graphs)
{
    /// <summary>Name of the algorithm that trained it; null where nobody said.</summary>
    public string? Algorithm { get; init; }

    /// <summary>Update its weights are from.</summary>
    public int Step { get; init; }

    /// <summary>Environment it was trained for; null for none.</summary>
    public string? Environment { get; init; }

    /// <summary>The algorithm itself, which a prompt needs; null of a file.</summary>
    public Algorithm? Code { get; init; }

    /// <summary>Names of the variables that a prompt reads or assigns.</summary>
    public IEnumerable<string> PromptVariables => Code is null ? [] : Prompt.Variables(Code);

    public static PolicySource Of(Algorithm algorithm) => new(algorithm.Context.Spaces, algorithm.ActionHorizon, (rows, mode) => PolicyGraph.Trace(algorithm, rows, mode)) { Code = algorithm };

    /// <summary>The policy of a run folder, by the code of its algorithm; the variables that it reads, and the checkpoint that has their values.</summary>
    public static (PolicySource Source, IReadOnlyList<Variable> Variables, string Weights) OfRun(string run, string checkpoint)
    {
        var about = RunInfo.Read(run);
        var (step, path) = Checkpoint.Find(run, checkpoint);
        // Critics and optimisers are declared and take no memory; what the traced policy reads is what is loaded.
        using var declaring = new DeclaringDevice();
        var declared = new State(declaring);
        var algorithm = AlgorithmCatalogue.Find(about.Config.Algorithm).Create(new AlgorithmContext(declared, about.Config.Seed, about.Spaces), about.Config.Settings);
        var source = Of(algorithm) with { Algorithm = about.Config.Algorithm, Step = step, Environment = about.Config.Environment };
        var needed = Enum.GetValues<Mode>().SelectMany(mode => source.Graphs(1, mode).Graph.Initial.Keys).Union(source.PromptVariables).ToHashSet();
        return (source, declared.Variables.Where(v => needed.Contains(v.Name)).ToArray(), path);
    }
}
