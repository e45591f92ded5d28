using Engine.Autodiff.Passes;
using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>What one run of a program computes and moves, from shapes alone; a loop counts its most steps.</summary>
/// <param name="NominalFlops">
/// Floating-point operations, 2 a multiply-add, of the matrix products of the graph as traced and differentiated, without those that nothing needs: what the method asks for, before any pass
/// leaves work out. A forward that two losses share counts twice, and the gradient of a minimum over an ensemble goes through all members.
/// </param>
/// <param name="ExecutedFlops">Those of the matrix products that run, after the passes.</param>
/// <param name="OtherFlops">Those of all other kernels that run.</param>
/// <param name="Kernels">What each kernel does and how often.</param>
public sealed record ProgramCost(double NominalFlops, double ExecutedFlops, double OtherFlops, IReadOnlyList<KernelCost> Kernels)
{
    /// <summary>Bytes of operands read and written by the kernels that run.</summary>
    public double Bytes => Kernels.Sum(k => k.Calls * k.Traffic.Bytes);

    /// <summary>The time at these limits: every kernel's, one after the other.</summary>
    public double Seconds(Roofline roof) => Kernels.Sum(k => k.Calls * roof.Seconds(k.Flops, k.Traffic));

    internal static ProgramCost Of(Graph source, Plan plan)
    {
        var kernels = new List<KernelCost>();
        Collect(plan.Instructions, 1, kernels);
        double products = kernels.Where(k => IsProduct(k.Op)).Sum(k => k.Calls * k.Flops);
        return new(Nominal(DeadCode.Run(source), 1), products, kernels.Sum(k => k.Calls * k.Flops) - products, kernels);
    }

    private static bool IsProduct(Op op) => op is MatMul or Linear or FusedMatMul or MemberMatMul or MatMulChain;

    private static double Nominal(Graph graph, double times) => graph.Nodes.Sum(node =>
        node.Body is { } body ? Nominal(body, times * ((Repeat)node.Op).Max) : IsProduct(node.Op) ? times * node.Op.Flops(node.InputTypes, node.OutputTypes) : 0);

    private static void Collect(Instruction[] instructions, double times, List<KernelCost> into)
    {
        foreach (var instruction in instructions)
            if (instruction is Loop loop) Collect(loop.Body, times * loop.Max, into);
            else if (instruction is KernelCall call) into.Add(new(call.Op, times, call.Op.Flops(call.InputTypes, call.OutputTypes), Traffic.Of(call)));
    }
}

/// <summary>What a kernel does in one call.</summary>
/// <param name="Op">The op.</param>
/// <param name="Calls">Calls in a run.</param>
/// <param name="Flops">Floating-point operations.</param>
/// <param name="Traffic">Its operands.</param>
public sealed record KernelCost(Op Op, double Calls, double Flops, Traffic Traffic);
