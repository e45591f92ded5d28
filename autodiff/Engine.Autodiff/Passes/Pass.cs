using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>A step of the compiler that can be switched off and changes no result by a bit.</summary>
/// <param name="Name">What <see cref="CompileOptions"/> calls it.</param>
/// <param name="OffSwitch">The environment variable that turns it off from outside.</param>
/// <param name="Run">Graph to graph; null: a decision of the memory plan alone, which follows the passes.</param>
/// <param name="WhenOff">What runs in its place when it is off; null: nothing.</param>
internal sealed record Pass(string Name, string OffSwitch, Func<Graph, Device, Graph>? Run, Func<Graph, Device, Graph>? WhenOff = null)
{
    public static readonly Pass ReuseMemory = new("ReuseMemory", "ENGINE_NO_REUSE", null), InPlace = new("InPlace", "ENGINE_NO_IN_PLACE", (graph, _) => LateUpdates.Run(graph));

    private static readonly Pass DeadCode = new("DeadCode", "ENGINE_NO_DEAD_CODE", (graph, _) => Passes.DeadCode.Run(graph));

    /// <summary>What a program runs, in this order. Dead code goes first, for it is neither to be expanded nor compared, and again after common subexpressions have left their duplicates unread.</summary>
    public static readonly IReadOnlyList<Pass> Pipeline =
    [
        DeadCode,
        new("FusedKernels", "ENGINE_NO_FUSION", ExpandComposites.WithoutKernel, ExpandComposites.All),
        new("CommonSubexpressions", "ENGINE_NO_CSE", (graph, _) => CommonSubexpressions.Run(graph)),
        DeadCode,
        new("WinningMember", "ENGINE_NO_WINNING_MEMBER", WinningMember.Run),
        new("MatMulFusion", "ENGINE_NO_MATMUL_FUSION", MatMulFusion.Run),
        new("ChainFusion", "ENGINE_NO_CHAIN_FUSION", ChainFusion.Run),
        new("OptimiserFusion", "ENGINE_NO_OPTIMISER_FUSION", OptimiserFusion.Run),
        new("ElementwiseFusion", "ENGINE_NO_ELEMENTWISE_FUSION", ElementwiseFusion.Run),
        new("ReductionFusion", "ENGINE_NO_REDUCTION_FUSION", ReductionFusion.Run),
        new("RegionFusion", "ENGINE_NO_REGION_FUSION", RegionFusion.Run),
        ReuseMemory,
        InPlace,
    ];

    /// <summary>The passes of the pipeline, each once.</summary>
    public static readonly IReadOnlyList<Pass> All = Pipeline.Distinct().ToArray();

    /// <summary>Runs the passes that are on.</summary>
    public static Graph RunAll(Graph graph, Device device, CompileOptions options)
    {
        foreach (var pass in Pipeline)
        {
            bool on = options.Runs(pass.Name);
            if ((on ? pass.Run : pass.WhenOff) is not { } run) continue;
            int before = graph.Nodes.Count;
            graph = run(graph, device);
            DebugOutput.Say(4, () => $"{pass.Name}{(on ? "" : " off")}: {before} nodes -> {graph.Nodes.Count}");
        }
        return graph;
    }
}
