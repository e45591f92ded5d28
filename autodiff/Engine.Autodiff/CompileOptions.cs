using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>Which passes run. Every one can be switched off, here or by an environment variable, and changes no result by a bit.</summary>
public sealed record CompileOptions
{
    /// <summary>Leave out what nothing needs (off: ENGINE_NO_DEAD_CODE=1).</summary>
    public bool DeadCode { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_DEAD_CODE");

    /// <summary>Compute equal things once (off: ENGINE_NO_CSE=1).</summary>
    public bool CommonSubexpressions { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_CSE");

    /// <summary>Use the device's fused kernels for composites (off: ENGINE_NO_FUSION=1).</summary>
    public bool FusedKernels { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_FUSION");

    /// <summary>Where a minimum or maximum over an ensemble sends a gradient to one member, compute that member's alone (off: ENGINE_NO_WINNING_MEMBER=1).</summary>
    public bool WinningMember { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_WINNING_MEMBER");

    /// <summary>Take masks and sums that follow a matrix product into it (off: ENGINE_NO_MATMUL_FUSION=1).</summary>
    public bool MatMulFusion { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_MATMUL_FUSION");

    /// <summary>Join products that take one another's result (off: ENGINE_NO_CHAIN_FUSION=1).</summary>
    public bool ChainFusion { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_CHAIN_FUSION");

    /// <summary>Make one kernel of the steps of an optimiser's parameters and of their slow copies (off: ENGINE_NO_OPTIMISER_FUSION=1).</summary>
    public bool OptimiserFusion { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_OPTIMISER_FUSION");

    /// <summary>Make one kernel of elementwise ops that feed one another (off: ENGINE_NO_ELEMENTWISE_FUSION=1).</summary>
    public bool ElementwiseFusion { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_ELEMENTWISE_FUSION");

    /// <summary>Reduce the values of elementwise expressions as they are made (off: ENGINE_NO_REDUCTION_FUSION=1).</summary>
    public bool ReductionFusion { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_REDUCTION_FUSION");

    /// <summary>Join small kernels that work on the same rows (off: ENGINE_NO_REGION_FUSION=1).</summary>
    public bool RegionFusion { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_REGION_FUSION");

    /// <summary>Give dead values' memory to new ones (off: ENGINE_NO_REUSE=1).</summary>
    public bool ReuseMemory { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_REUSE");

    /// <summary>Write over dead inputs and update variables in place (off: ENGINE_NO_IN_PLACE=1).</summary>
    public bool InPlace { get; init; } = !EnvironmentSwitch.IsSet("ENGINE_NO_IN_PLACE");

    /// <summary>Everything off: the trace as it stands.</summary>
    public static CompileOptions None { get; } = new()
    {
        DeadCode = false,
        CommonSubexpressions = false,
        FusedKernels = false,
        WinningMember = false,
        MatMulFusion = false,
        ChainFusion = false,
        OptimiserFusion = false,
        ElementwiseFusion = false,
        ReductionFusion = false,
        RegionFusion = false,
        ReuseMemory = false,
        InPlace = false,
    };
}

/// <summary>How much programs say on standard error, from ENGINE_DEBUG: 1 what was compiled and for which device; 2 also every kernel with
/// time and rates in the third run; 3 also the chosen variants and the memory plan; 4 also the graph before and after the passes.</summary>
public static class DebugOutput
{
    /// <summary>0 to 4.</summary>
    public static int Level { get; set; } = int.TryParse(Environment.GetEnvironmentVariable("ENGINE_DEBUG"), out int level) ? level : 0;

    internal static void Say(int level, Func<string> text)
    {
        if (Level >= level) Console.Error.WriteLine(text());
    }
}
