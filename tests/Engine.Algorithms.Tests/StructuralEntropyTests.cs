using Engine.Algorithms.Diffusion;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

/// <summary>Structural entropy and the partitions that make it small, beside what is known by hand; the shared fixture has the reference's own.</summary>
public class StructuralEntropyTests
{
    private static double[,] Graph(int n, Func<int, int, double> weight)
    {
        var weights = new double[n, n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++) weights[i, j] = weights[j, i] = weight(i, j);
        return weights;
    }

    [Fact]
    public void Entropies_of_small_graphs_are_those_by_hand()
    {
        // Two pairs, each joined by an edge: four degrees of 1 in a volume of 4.
        double[,] pairs = Graph(4, (i, j) => i / 2 == j / 2 ? 1 : 0);
        Assert.Equal(2, EncodingTree.OneDimensional(pairs), 1e-12);
        var tree = EncodingTree.Of(pairs, [[0, 0, 2, 2]]);
        Assert.Equal([1, 1, 1, 1, 2, 2, 4], tree.Volume);
        Assert.Equal([1, 1, 1, 1, 0, 0, 0], tree.Cut);
        Assert.Equal(1, tree.Entropy, 1e-12); // a bit tells the two of a pair apart; nothing leaves a pair
        Assert.Equal([0, 0, 2, 2], StructuralPartition.Find(pairs, 2)[0]);
        Assert.Equal([0, 0, 2, 2], StructuralPartition.Optimal(pairs));
    }

    /// <summary>Normalised mutual information of two partitions: 1 if they are the same.</summary>
    private static double Agreement(int[] a, int[] b)
    {
        double Entropy(IEnumerable<double> counts) => counts.Sum(c => -c / a.Length * Math.Log(c / a.Length));
        double ha = Entropy(a.GroupBy(x => x).Select(g => (double)g.Count())), hb = Entropy(b.GroupBy(x => x).Select(g => (double)g.Count()));
        double both = Entropy(a.Zip(b).GroupBy(x => x).Select(g => (double)g.Count()));
        return 2 * (ha + hb - both) / (ha + hb);
    }

    /// <summary>Row 52: the recovered partition of a block-structured graph matches the blocks.</summary>
    [Theory]
    [InlineData(3, 60)]
    [InlineData(5, 100)]
    [InlineData(8, 120)]
    public void Blocks_of_a_graph_are_found(int blocks, int vertices)
    {
        for (ulong seed = 0; seed < 5; seed++)
        {
            var random = new PhiloxStream(seed, "blocks");
            int[] of = [.. Enumerable.Range(0, vertices).Select(i => i % blocks)];
            double[,] weights = Graph(vertices, (i, j) => random.NextUnit() < (of[i] == of[j] ? 0.6 : 0.04) ? 1 : 0);
            int[] found = StructuralPartition.Find(weights, 2)[0];
            Assert.True(Agreement(of, found) >= 0.9, $"{blocks} blocks, seed {seed}: agreement {Agreement(of, found):F2}");
            // Finer or coarser levels make no tree worse than the flat one.
            Assert.True(EncodingTree.Of(weights, StructuralPartition.Find(weights, 3)).Entropy < EncodingTree.OneDimensional(weights));
        }
    }

    [Fact]
    public void Segments_end_where_a_community_does()
    {
        int[] ids = [1, 1, 2, 2, 2, 2, 2, 2, 3, 1];
        Assert.Equal([2, 6, 1, 1], TrajectorySegments.Runs(ids));
        Assert.Equal([2, 6, 2], TrajectorySegments.Runs(ids, lastSeen: false));
        Assert.Equal([2, 4, 4], TrajectorySegments.Merge([2, 6, 1, 1], 4));
        Assert.Equal(10, TrajectorySegments.Merge(TrajectorySegments.Runs(ids), 3).Sum());
    }
}
