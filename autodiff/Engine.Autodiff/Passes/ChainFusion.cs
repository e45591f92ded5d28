using Engine.Kernels;

namespace Engine.Autodiff.Passes;

/// <summary>
/// Joins consecutive products, the layers of a network forwards and the path of its gradient backwards, into one op (<see cref="MatMulChain"/>), if the device prefers it: intermediate rows then stay on
/// the chip, and those with other readers (masks and gradients of weights, backwards) are stored as well. The bits do not change.
/// </summary>
internal static class ChainFusion
{
    public static Graph Run(Graph graph, Device device)
    {
        var rewrites = new Rewrites();
        Find(graph, new Readers(graph), device, rewrites);
        return rewrites.Apply(graph);
    }

    private static void Find(Graph graph, Readers readers, Device device, Rewrites rewrites)
    {
        // Where a link's chain is computed, by number of node.
        var places = new Dictionary<Node, int>();
        foreach (var node in graph.Nodes)
        {
            if (node.Body is { } body) Find(body, readers, device, rewrites);
            if (!IsLink(node) || places.ContainsKey(node)) continue;
            var links = new List<Node> { node };
            while (links.Count < MatMulChain.MaxLinks && Next(links[^1], readers) is { } next && !places.ContainsKey(next)) links.Add(next);
            while (links.Count > 1 && !Join(links, readers, device, rewrites, places)) links.RemoveAt(links.Count - 1);
        }
    }

    private static bool IsLink(Node node) => MatMulChain.IsLink(node.Op);

    /// <summary>Whose matrix every row takes, where rows have matrices of their own.</summary>
    private static Tensor? Members(Node node) => node.Op is MemberMatMul ? node.Inputs[2] : null;

    /// <summary>The only link whose left side is the node's result, if nothing else of it is.</summary>
    private static Node? Next(Node node, Readers readers)
    {
        var result = node.Outputs[0];
        Node? next = null;
        foreach (var reader in readers.Of(result))
        {
            if (!IsLink(reader) || reader.Inputs[0] != result || Members(reader) != Members(node)) continue;
            if (next is not null) return null;
            next = reader;
        }
        return next is not null && !next.Inputs[1..].Contains(result) && MatMul.Batch(next.Outputs[0].Shape) == MatMul.Batch(result.Shape) ? next : null;
    }

    private static bool Join(List<Node> links, Readers readers, Device device, Rewrites rewrites, Dictionary<Node, int> places)
    {
        int Place(Node node) => places.TryGetValue(node, out int place) ? place : node.Id;
        bool InChain(Node node) => links.Contains(node);
        var members = Members(links[0]);
        Tensor[] reads = members is null ? [links[0].Inputs[0], .. links.SelectMany(l => l.Inputs[1..])] : [links[0].Inputs[0], members, .. links.SelectMany(l => (Tensor[])[l.Inputs[1], .. l.Inputs[3..]])];
        var kept = links.Where((l, i) => i == links.Count - 1 || readers.IsKept(l.Outputs[0]) || readers.Of(l.Outputs[0]).Any(r => !InChain(r))).ToArray();
        // A link reads the one before it and nothing else of the chain, so what the others read exists when the chain begins or it is no chain.
        if (reads.Any(t => InChain(t.Node))) return false;
        // Where all that is read exists already, and nobody has read what comes out.
        int ready = reads.Max(t => Place(t.Node)), needed = kept.SelectMany(l => readers.Of(l.Outputs[0])).Where(r => !InChain(r)).Select(Place).DefaultIfEmpty(int.MaxValue).Min();
        var at = kept.FirstOrDefault(l => l.Id > ready);
        if (at is null || at.Id >= needed) return false;
        var op = new MatMulChain(links.ConvertAll(l => l.Op), kept.Select(l => links.IndexOf(l)).ToArray());
        var types = Array.ConvertAll(kept, l => l.Outputs[0].Type);
        if (!device.Prefers(op, Array.ConvertAll(reads, t => t.Type), types)) return false;
        foreach (var link in links) places[link] = at.Id;
        rewrites.Replace(at, reads, Array.ConvertAll(kept, l => l.Outputs[0]), (target, translated) => target.AppendTranslated(op, translated, types, null, at.Scope).Outputs);
        return true;
    }
}
