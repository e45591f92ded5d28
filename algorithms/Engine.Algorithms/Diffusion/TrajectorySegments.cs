using System.Text.Json.Nodes;
using Engine.Interop.Safetensors;

namespace Engine.Algorithms.Diffusion;

/// <summary>Segments of trajectories between communities of states (SIHD; SELGroup/SIHD, sip/ and diffuser/datasets/sequence.py).</summary>
public static class TrajectorySegments
{
    /// <summary>(cosine + 1) / 2 of all pairs of states, 0 of a state with itself.</summary>
    /// <param name="states">n states of S numbers.</param>
    public static double[,] Similarity(IReadOnlyList<double[]> states)
    {
        int n = states.Count;
        double[] norms = [.. states.Select(s => Math.Sqrt(s.Sum(x => x * x)))];
        var similarity = new double[n, n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++)
            {
                double dot = 0;
                for (int k = 0; k < states[i].Length; k++) dot += states[i][k] * states[j][k];
                similarity[i, j] = similarity[j, i] = (dot / (norms[i] * norms[j]) + 1) / 2;
            }
        return similarity;
    }

    /// <summary>Lengths of runs of equal numbers.</summary>
    /// <param name="ids">Of every row.</param>
    /// <param name="lastSeen">Whether a change at the very last row begins a run; it does not in the released code.</param>
    public static int[] Runs(IReadOnlyList<int> ids, bool lastSeen = true)
    {
        var runs = new List<int> { 1 };
        for (int i = 1; i < ids.Count; i++)
        {
            if (ids[i] != ids[i - 1] && (lastSeen || i < ids.Count - 1)) runs.Add(1);
            else runs[^1]++;
        }
        return [.. runs];
    }

    /// <summary>Neighbours joined while their sum is at most a jump, longer ones cut.</summary>
    /// <param name="lengths">Of segments, in order.</param>
    /// <param name="jump">The most a segment may have.</param>
    public static int[] Merge(IReadOnlyList<int> lengths, int jump)
    {
        var merged = new List<int>();
        int open = 0;
        foreach (int length in lengths)
        {
            if (open + length <= jump) open += length;
            else
            {
                if (open > 0) merged.Add(open);
                open = length;
                for (; open > jump; open -= jump) merged.Add(jump);
            }
        }
        if (open > 0) merged.Add(open);
        return [.. merged];
    }

    /// <summary>The results of a recorded fixture (kind structural-entropy).</summary>
    internal static void Recorded(SafetensorsFile inputs, JsonObject fixture, Action<string, double[]> report)
    {
        double[] Levels(IReadOnlyList<int[]> levels) => [.. levels.SelectMany(l => l).Select(c => (double)c)];
        foreach (var (node, graph) in fixture["graphs"]!.AsArray().Select((g, i) => (g!.AsObject(), $"graph{i}.")))
        {
            double[,] weights = Square(inputs[graph + "weights"].ToDoubles());
            report(graph + "one_dimensional", [EncodingTree.OneDimensional(weights)]);
            for (int i = 0; i < (int)node["trees"]!; i++)
            {
                var tree = new EncodingTree(weights, Array.ConvertAll(inputs[$"{graph}tree{i}.parents"].ToDoubles(), p => (int)p));
                report($"{graph}tree{i}.volume", tree.Volume);
                report($"{graph}tree{i}.cut", tree.Cut);
                report($"{graph}tree{i}.node_entropy", tree.NodeEntropy);
                report($"{graph}tree{i}.entropy", [tree.Entropy]);
            }
            foreach (int height in node["greedy_heights"]!.AsArray().Select(h => (int)h!))
            {
                var levels = StructuralPartition.Find(weights, height);
                report($"{graph}greedy{height}.communities", Levels(levels));
                report($"{graph}greedy{height}.entropy", [EncodingTree.Of(weights, levels).Entropy]);
            }
            if (!(bool)node["optimal"]!) continue;
            int[] best = StructuralPartition.Optimal(weights);
            report(graph + "optimal.communities", Levels([best]));
            report(graph + "optimal.entropy", [EncodingTree.Of(weights, [best]).Entropy]);
        }
        var about = fixture["trajectories"]!.AsObject();
        int height2 = (int)about["tree_height"]!, jump = (int)about["jump"]!;
        double[] lengths = inputs["trajectories.lengths"].ToDoubles();
        var observations = inputs["trajectories.observations"];
        double[] all = observations.ToDoubles();
        int size = (int)observations.Shape[2], rows = (int)observations.Shape[1];
        for (int t = 0; t < lengths.Length; t++)
        {
            string name = $"trajectory{t}.";
            double[][] features = [.. inputs[name + "features"].ToDoubles().Chunk(size)];
            double[,] similarity = Similarity(features);
            report(name + "similarity_sum", EncodingTree.Degrees(similarity));
            var levels = StructuralPartition.Find(similarity, height2);
            var tree = EncodingTree.Of(similarity, levels);
            int[] leaf = [.. Enumerable.Range(0, (int)lengths[t]).Select(i => Array.FindIndex(features, f => f.AsSpan().SequenceEqual(all.AsSpan((t * rows + i) * size, size))))];
            int[] community = [.. leaf.Select(l => levels[0][l])];
            double Weight(int node) => (tree.Children(node).Sum(c => tree.Cut[c]) - tree.Cut[node]) / Math.Max(0.01, tree.Volume[node]);
            int[] segments = Runs(leaf, lastSeen: false), communitySegments = Runs(community, lastSeen: false), merged = Merge(segments, jump);
            void Report(string what, IEnumerable<int> values) => report(name + what, [.. values.Select(v => (double)v)]);
            Report("leaf", leaf);
            Report("community", community);
            report(name + "weight", [.. leaf.Select(l => Weight(tree.Parent(l)))]);
            Report("segments", segments);
            Report("merged", merged);
            Report("merged_twice", Merge(merged, jump));
            Report("community_segments", communitySegments);
            Report("community_merged", Merge(communitySegments, jump));
        }
    }

    private static double[,] Square(double[] values)
    {
        int n = (int)Math.Sqrt(values.Length);
        var square = new double[n, n];
        for (int i = 0; i < values.Length; i++) square[i / n, i % n] = values[i];
        return square;
    }
}
