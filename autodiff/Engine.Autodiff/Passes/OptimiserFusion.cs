using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Makes one <see cref="AdamGroup"/> of the Adam steps that share their scalars, with the Polyak steps of the slow copies that follow them: one kernel over all parameters
/// instead of two for each, in which the slow copy meets the new value while it is in a register. Variables stay where they are and keep their names.
/// </summary>
internal sealed class OptimiserFusion
{
    // Nine operands a parameter.
    private const int MaxParameters = 24;

    private readonly Device _device;
    private readonly Readers _readers;
    private readonly Rewrites _rewrites = new();
    private readonly Dictionary<Node, int> _moved = []; // steps that have joined others -> where

    private OptimiserFusion(Graph graph, Device device) => (_device, _readers) = (device, new Readers(graph));

    public static Graph Run(Graph graph, Device device)
    {
        var pass = new OptimiserFusion(graph, device);
        pass.Find(graph);
        return pass._rewrites.Apply(graph);
    }

    private void Find(Graph graph)
    {
        foreach (var node in graph.Nodes)
            if (node.Body is { } body) Find(body);
        foreach (var optimiser in graph.Nodes.Where(n => n.Op is Adam).GroupBy(n => (n.Op, StepSize: n.Inputs[4], Correction: n.Inputs[5], Decay: n.Inputs[6])))
        {
            foreach (var group in optimiser.Select(n => (Step: n, Target: TargetOf(n))).GroupBy(p => p.Target?.Op))
                foreach (var part in group.Chunk(MaxParameters))
                    if (!Join(part) && part[0].Target is not null)
                        Join(Array.ConvertAll(part, p => (p.Step, (Node?)null)));
        }
    }

    /// <summary>The step of a slow copy towards the new value of the parameter.</summary>
    private Node? TargetOf(Node step) =>
        _readers.Of(step.Outputs[0]).FirstOrDefault(n => n.Op is Polyak && n.Graph == step.Graph && n.Inputs[1] == step.Outputs[0]);

    private int At(Node node) => _moved.GetValueOrDefault(node, node.Id);

    private bool Join((Node Step, Node? Target)[] group)
    {
        if (group.Length < 2 && group[0].Target is null) return false;
        var gone = group.SelectMany(p => p.Target is null ? [p.Step] : new[] { p.Step, p.Target }).ToHashSet();
        Tensor[] reads = [.. group.SelectMany(p => p.Target is null ? p.Step.Inputs[..4] : [.. p.Step.Inputs[..4], p.Target.Inputs[0]]), .. group[0].Step.Inputs[4..]];
        // The first of the steps by which everything is there that any of them reads; what reads a result must come later.
        int ready = reads.Max(t => At(t.Node));
        if (gone.Where(n => n.Id > ready).MinBy(n => n.Id) is not { } place || reads.Any(t => gone.Contains(t.Node))) return false;
        foreach (var reader in gone.SelectMany(n => n.Outputs).SelectMany(_readers.Of))
            if (!gone.Contains(reader) && (At(reader) < place.Id || reader.Graph != place.Graph)) return false;

        var op = new AdamGroup((Adam)group[0].Step.Op, group.Length, (Polyak?)group[0].Target?.Op);
        Tensor[] results = group.SelectMany(p => p.Target is null ? p.Step.Outputs : [.. p.Step.Outputs, p.Target.Outputs[0]]).ToArray();
        var types = Array.ConvertAll(results, t => t.Type);
        if (!_device.Prefers(op, Array.ConvertAll(reads, t => t.Type), types)) return false;
        foreach (var node in gone) _moved[node] = place.Id;
        _rewrites.Replace(place, reads, results, (target, at) => target.AppendTranslated(op, at, types, null, place.Scope).Outputs);
        return true;
    }
}
