namespace Engine.Algorithms.Diffusion;

/// <summary>
/// Communities of a graph that make its structural entropy small, greedily (Zeng et al. 2025, "Structural Information-based Hierarchical Diffusion for Offline Reinforcement Learning", arXiv 2509.21942, after HCSE, Pan et al. 2021). Parts are merged pair by pair until one
/// is left; then inner nodes of that binary tree are removed until it has the height asked for.
/// </summary>
public static class StructuralPartition
{
    /// <summary>The communities by levels, the coarsest first, each vertex named by the smallest of its community: one level for a tree of height 2, two for height 3.</summary>
    /// <param name="weights">[n, n], symmetric, none below 0.</param>
    /// <param name="height">2 or 3.</param>
    public static IReadOnlyList<int[]> Find(double[,] weights, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(height, 3);
        int n = weights.GetLength(0);
        int[] top = Communities(weights, EncodingTree.Degrees(weights));
        if (height == 2) return [top];

        // Either every community is split once more, or the communities are grouped: what saves more for each node that takes part.
        double before = EncodingTree.Of(weights, [top]).Entropy;
        int[] finer = (int[])top.Clone();
        foreach (int community in top.Distinct())
        {
            int[] members = [.. Enumerable.Range(0, n).Where(i => top[i] == community)];
            if (members.Length < 3)
            {
                foreach (int member in members) finer[member] = member;
                continue;
            }
            double[,] inside = Sub(weights, members);
            int[] parts = Communities(inside, EncodingTree.Degrees(inside));
            for (int i = 0; i < members.Length; i++) finer[members[i]] = members[parts[i]];
        }
        int[] names = [.. top.Distinct()];
        int[] groups = Communities(Between(weights, top, names), [.. names.Select(c => Enumerable.Range(0, n).Where(i => top[i] == c).Sum(i => Enumerable.Range(0, n).Sum(j => weights[i, j])))]);
        int[] coarser = [.. Enumerable.Range(0, n).Select(i => names[groups[Array.IndexOf(names, top[i])]])];
        double split = (before - EncodingTree.Of(weights, [top, finer]).Entropy) / n, grouped = (before - EncodingTree.Of(weights, [coarser, top]).Entropy) / names.Length;
        return split >= grouped ? [top, finer] : [coarser, top];
    }

    /// <summary>The communities of one level with the least entropy, by trying all partitions: for few vertices.</summary>
    /// <param name="weights">[n, n], n at most 10.</param>
    public static int[] Optimal(double[,] weights)
    {
        int n = weights.GetLength(0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(n, 10);
        var (best, least) = (new int[n], double.PositiveInfinity);
        var community = new int[n];
        void Try(int vertex)
        {
            if (vertex == n)
            {
                double entropy = EncodingTree.Of(weights, [community]).Entropy;
                if (entropy < least) (best, least) = ((int[])community.Clone(), entropy);
                return;
            }
            // A vertex joins a community that has begun, or begins one.
            for (int c = 0; c <= vertex; c++)
            {
                if (c < vertex && community[c] != c) continue;
                community[vertex] = c;
                Try(vertex + 1);
            }
        }
        Try(0);
        return best;
    }

    /// <summary>Communities of one level: the vertex with the smallest number of each vertex's.</summary>
    /// <param name="weights">Between vertices [n, n]; what is on the diagonal does not count.</param>
    /// <param name="volumes">Of the vertices: their degrees, or more where they are communities themselves.</param>
    private static int[] Communities(double[,] weights, double[] volumes)
    {
        int n = volumes.Length;
        var tree = new BinaryTree(weights, volumes);
        tree.Squeeze();
        int[] community = new int[n];
        for (int i = 0; i < n; i++) community[i] = tree.Parents[i] == tree.Root ? i : tree.Parents[i];
        return [.. community.Select(c => Array.IndexOf(community, c))];
    }

    private static double[,] Sub(double[,] weights, int[] members)
    {
        var part = new double[members.Length, members.Length];
        for (int i = 0; i < members.Length; i++)
            for (int j = 0; j < members.Length; j++) part[i, j] = weights[members[i], members[j]];
        return part;
    }

    private static double[,] Between(double[,] weights, int[] of, int[] names)
    {
        var between = new double[names.Length, names.Length];
        for (int i = 0; i < of.Length; i++)
            for (int j = 0; j < of.Length; j++)
                if (of[i] != of[j]) between[Array.IndexOf(names, of[i]), Array.IndexOf(names, of[j])] += weights[i, j];
        return between;
    }

    /// <summary>The tree of all merges.</summary>
    private sealed class BinaryTree
    {
        private readonly List<double> _volume = [], _joined = [];
        private readonly int _vertices;

        public BinaryTree(double[,] weights, double[] volumes)
        {
            _vertices = volumes.Length;
            double all = volumes.Sum();
            var cut = new List<double>();
            var common = new List<Dictionary<int, double>>(); // of every part, the weight to those it touches
            var alive = new SortedSet<int>();
            for (int i = 0; i < _vertices; i++)
            {
                Parents.Add(-1);
                common.Add([]);
                for (int j = 0; j < _vertices; j++)
                    if (j != i && weights[i, j] > 0) common[i][j] = weights[i, j];
                _volume.Add(volumes[i]);
                cut.Add(common[i].Values.Sum());
                _joined.Add(0);
                alive.Add(i);
            }
            // By how much the entropy grows when two parts become one.
            double Growth(int a, int b)
            {
                double v = _volume[a] + _volume[b];
                return ((_volume[a] - cut[a]) * Math.Log2(v / _volume[a]) + (_volume[b] - cut[b]) * Math.Log2(v / _volume[b]) - 2 * common[a][b] * Math.Log2(all / v)) / all;
            }
            var pairs = new SortedSet<(double Growth, int A, int B)>(alive.SelectMany(a => common[a].Keys.Where(b => b > a).Select(b => (Growth(a, b), a, b))));
            while (pairs.Count > 0)
            {
                var (_, a, b) = pairs.Min;
                foreach (int part in new[] { a, b })
                    foreach (int other in common[part].Keys) pairs.Remove((Growth(Math.Min(part, other), Math.Max(part, other)), Math.Min(part, other), Math.Max(part, other)));
                int made = Parents.Count;
                double between = common[a][b];
                common.Add([]);
                foreach (int part in new[] { a, b })
                {
                    foreach (var (other, weight) in common[part])
                    {
                        if (other == a || other == b) continue;
                        common[made][other] = common[made].GetValueOrDefault(other) + weight;
                        common[other].Remove(part);
                    }
                    Parents[part] = made;
                    alive.Remove(part);
                }
                foreach (var (other, weight) in common[made]) common[other][made] = weight;
                Parents.Add(-1);
                _volume.Add(_volume[a] + _volume[b]);
                cut.Add(cut[a] + cut[b] - 2 * between);
                _joined.Add(between);
                alive.Add(made);
                foreach (int other in common[made].Keys) pairs.Add((Growth(other, made), other, made));
            }
            // What touches nothing is joined under one root.
            Root = alive.Max;
            if (alive.Count == 1 && Root >= _vertices) return;
            Root = Parents.Count;
            Parents.Add(-1);
            _volume.Add(all);
            _joined.Add(0);
            foreach (int part in alive) Parents[part] = Root;
        }

        /// <summary>Of every node; -1 of the root, -2 of what was removed.</summary>
        public List<int> Parents { get; } = [];

        public int Root { get; }

        /// <summary>Removes inner nodes until no vertex is more than two below the root: the one for which joined weight, that of nodes removed below it included, times ln(volume of the parent / volume) is smallest.</summary>
        public void Squeeze()
        {
            while (true)
            {
                int[] height = new int[Parents.Count];
                // Nodes are made after what is below them.
                for (int node = 0; node < Parents.Count; node++)
                    if (Parents[node] >= 0) height[Parents[node]] = Math.Max(height[Parents[node]], height[node] + 1);
                if (height[Root] <= 2) return;
                int least = -1;
                double smallest = double.PositiveInfinity;
                for (int node = _vertices; node < Parents.Count; node++)
                {
                    if (node == Root || Parents[node] < 0) continue;
                    int depth = 0;
                    for (int at = node; at != Root; at = Parents[at]) depth++;
                    double cost = _joined[node] * Math.Log(_volume[Parents[node]] / _volume[node]);
                    if (depth + height[node] > 2 && cost < smallest) (least, smallest) = (node, cost);
                }
                _joined[Parents[least]] += _joined[least];
                for (int node = 0; node < Parents.Count; node++)
                    if (Parents[node] == least) Parents[node] = Parents[least];
                Parents[least] = -2;
            }
        }
    }
}
