using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Makes one kernel of small ones over the same rows: expressions and reductions that feed one another, whether or not the values between them have other readers, or that share an input. A squashed Gaussian's
/// sample with its log-probability becomes one kernel, and so do a target of a minimum over an ensemble, and a loss with all its means. The pass is for concurrent devices, on which a small kernel costs as much as its launch.
/// Joining never delays another kernel: two kernels are joined only if they have the same level (depth: the number of kernels before them on the longest path), or if one is the other's only reader. This also rules out cycles.
/// </summary>
internal sealed class RegionFusion
{
    // A value with many readers is not tried with all of them.
    private const int MaxSteps = 64, MostTried = 4;

    private sealed class Region
    {
        public required int Depth;
        public required List<Node> Members; // in order
        public required int Steps;
    }

    private readonly Device _device;
    private readonly Readers _readers;
    private readonly Rewrites _rewrites = new();
    private readonly Dictionary<Node, Region> _regions = [];
    private readonly Dictionary<Node, int> _depths = []; // of the nodes in no region
    private readonly Dictionary<Node, List<Node>> _seen = []; // candidates that read a node, in order

    private RegionFusion(Graph graph, Device device) => (_device, _readers) = (device, new Readers(graph));

    public static Graph Run(Graph graph, Device device)
    {
        if (!device.Concurrent) return graph;
        var pass = new RegionFusion(graph, device);
        pass.Find(graph);
        foreach (var region in pass._regions.Values.Distinct().Where(r => r.Members.Count > 1))
        {
            var (op, inputs, results) = pass.Join(region.Members);
            pass._rewrites.Replace(region.Members[^1], inputs, results, (target, at) => target.AppendTranslated(op, at, Array.ConvertAll(results, t => t.Type), null, region.Members[^1].Scope).Outputs);
        }
        return pass._rewrites.Apply(graph, pass.Order);
    }

    private void Find(Graph graph)
    {
        foreach (var node in graph.Nodes)
        {
            if (node.Body is { } body) Find(body);
            if (node.Op.IsAlias) continue;
            var sources = Array.ConvertAll(node.Inputs, t => Source(t).Node);
            int before = sources.Length == 0 ? 0 : sources.Max(DepthOf);
            bool isView = MemoryPlan.RunStart(node) is not null; // no kernel, unless it became a part of one
            _depths[node] = node.Op is Leaf ? 0 : isView ? before : before + 1;
            if (isView || !IsCandidate(node)) continue;
            _regions[node] = new Region { Depth = before + 1, Members = [node], Steps = StepsOf(node) };
            bool joined = before > 0 && TryJoin(node, [.. sources.Where(s => DepthOf(s) == before)], before);
            foreach (var source in sources)
                if (_regions.TryGetValue(source, out var region) && region != _regions[node] && region.Members.All(m => m.Outputs.All(t => OnlyReads(_regions[node], region, t)))) TryJoin(node, [source], DepthOf(node));
            foreach (var source in sources.Distinct())
                if (before > 0 && DepthOf(source) == before)
                {
                    if (!_seen.TryGetValue(source, out var seen)) _seen[source] = seen = [];
                    if (!joined) foreach (var region in Recent(seen, before + 1)) TryJoin(node, [region.Members[0]], before + 1);
                    seen.Add(node);
                }
        }
    }

    /// <summary>The latest regions of a depth among those of the nodes.</summary>
    private Region[] Recent(List<Node> nodes, int depth)
    {
        var regions = new List<Region>();
        for (int i = nodes.Count - 1; i >= Math.Max(0, nodes.Count - MostTried * MaxSteps) && regions.Count < MostTried; i--)
            if (_regions[nodes[i]] is var region && region.Depth == depth && !regions.Contains(region)) regions.Add(region);
        return regions.ToArray();
    }

    private static bool IsCandidate(Node node) => node.Op.IsElementwise || node.Op is Fused or Reduce or Broadcast or Slice;

    private static int StepsOf(Node node) => node.Op is Fused fused ? fused.Steps.Count : 1;

    private int DepthOf(Node node) => _regions.TryGetValue(node, out var region) ? region.Depth : _depths.GetValueOrDefault(node);

    /// <summary>The tensor that is not an alias.</summary>
    private static Tensor Source(Tensor tensor)
    {
        while (tensor.Node.Op.IsAlias) tensor = tensor.Node.Inputs[0];
        return tensor;
    }

    /// <summary>The readers of a tensor and of its aliases.</summary>
    private IEnumerable<Node> ReadersOf(Tensor tensor) => _readers.Of(tensor).SelectMany(n => n.Op.IsAlias ? ReadersOf(n.Outputs[0]) : [n]);

    private bool OnlyReads(Region by, Region of, Tensor tensor) => ReadersOf(tensor).All(n => _regions.TryGetValue(n, out var region) && (region == by || region == of));

    /// <summary>Fuses a node's region with those of others, if the device has one kernel for the result.</summary>
    private bool TryJoin(Node node, Node[] others, int depth)
    {
        var regions = new HashSet<Region> { _regions[node] };
        foreach (var other in others)
        {
            if (other.Graph != node.Graph || !_regions.TryGetValue(other, out var region)) return false;
            regions.Add(region);
        }
        if (regions.Sum(r => r.Steps) > MaxSteps) return false;
        var joined = new Region { Depth = depth, Members = [.. regions.SelectMany(r => r.Members).OrderBy(n => n.Id)], Steps = regions.Sum(r => r.Steps) };
        // A slice is a load: its source must be an input.
        if (joined.Members.Exists(m => m.Op is Slice && joined.Members.Contains(Source(m.Inputs[0]).Node))) return false;
        var (op, inputs, results) = Join(joined.Members);
        if (!_device.Prefers(op, Array.ConvertAll(inputs, t => t.Type), Array.ConvertAll(results, t => t.Type))) return false;
        foreach (var member in joined.Members) _regions[member] = joined;
        return true;
    }

    /// <summary>The members as one op: what it reads, and which of their results others need.</summary>
    private (Fused Op, Tensor[] Inputs, Tensor[] Results) Join(List<Node> members)
    {
        var inside = members.ToHashSet();
        var inputs = new List<Tensor>();
        foreach (var input in members.SelectMany(m => m.Inputs))
            if (!inside.Contains(Source(input).Node) && !inputs.Contains(input)) inputs.Add(input);
        var numbers = new Dictionary<Tensor, int>();
        for (int i = 0; i < inputs.Count; i++) numbers[inputs[i]] = i;
        var steps = new List<FusedStep>();
        int Step(Op op, int[] arguments)
        {
            steps.Add(new FusedStep(op, arguments));
            return inputs.Count + steps.Count - 1;
        }
        int Number(Tensor tensor) => numbers.TryGetValue(tensor, out int known) ? known : numbers[tensor] = Step(tensor.Node.Op, [Number(tensor.Node.Inputs[0])]); // an alias
        foreach (var member in members)
        {
            var values = Array.ConvertAll(member.Inputs, Number).ToList();
            if (member.Op is not Fused fused) numbers[member.Outputs[0]] = Step(member.Op, values.ToArray());
            else
            {
                foreach (var step in fused.Steps) values.Add(Step(step.Op, Array.ConvertAll(step.Arguments.ToArray(), a => values[a])));
                for (int i = 0; i < member.Outputs.Length; i++) numbers[member.Outputs[i]] = values[fused.Results[i]];
            }
        }
        var results = members.SelectMany(m => m.Outputs).Where(t => IsNeeded(t, inside)).OrderBy(t => numbers[t]).ToArray();
        return (new Fused(inputs.Count, steps, Array.ConvertAll(results, t => numbers[t])), inputs.ToArray(), results);
    }

    // Dead values stay: they are DeadCode's work.
    private bool IsNeeded(Tensor tensor, HashSet<Node> inside) =>
        _readers.IsKept(tensor) || !_readers.IsRead(tensor) || _readers.Of(tensor).Any(n => n.Op.IsAlias ? IsNeeded(n.Outputs[0], inside) : !inside.Contains(n));

    /// <summary>
    /// The nodes of a graph in an order in which the members of a region are adjacent, as early as the region's inputs allow. A variable's new value (or a carried one's) comes after the readers of the old one where
    /// possible, so that the update is in place.
    /// </summary>
    private List<Node> Order(Graph graph)
    {
        var order = new List<Node>();
        var done = new HashSet<Node>();
        var held = new List<Node>();
        var old = OldValues(graph);
        foreach (var node in graph.Nodes)
        {
            var members = MembersOf(node);
            if (node != members[^1] && !members.TrueForAll(m => m.Inputs.All(t => members.Contains(Source(t).Node) || done.Contains(t.Node)))) continue;
            held.Add(node);
            foreach (var ready in held.Where(n => !MembersOf(n).Exists(IsReadLater)).ToArray())
            {
                Visit(ready);
                held.Remove(ready);
            }
        }
        foreach (var node in held) Visit(node);
        return order;

        List<Node> MembersOf(Node node) => _regions.TryGetValue(node, out var region) ? region.Members : [node];

        bool IsReadLater(Node node) => old[node].Any(before => ReadersOf(before).Any(n => !done.Contains(n) && !MembersOf(node).Contains(n)));

        void Visit(Node node)
        {
            if (done.Contains(node)) return;
            var members = MembersOf(node);
            foreach (var member in members) done.Add(member);
            foreach (var input in members.SelectMany(m => m.Inputs))
                if (!members.Contains(Source(input).Node)) Visit(input.Node);
            order.AddRange(members);
        }
    }

    /// <summary>By the nodes that make new values of variables, or of what a loop carries: the old values.</summary>
    private static ILookup<Node, Tensor> OldValues(Graph graph)
    {
        var pairs = graph.Assigned.Where(a => graph.Initial.ContainsKey(a.Key)).Select(a => (New: a.Value, Old: graph.Initial[a.Key]));
        var carried = graph.Nodes.Where(n => n.Op is Carried).Select(n => (New: graph.Results[((Carried)n.Op).Index], Old: n.Outputs[0]));
        return pairs.Concat(carried).ToLookup(p => Source(p.New).Node, p => p.Old);
    }
}
