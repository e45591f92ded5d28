using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>
/// Values as distributions over n classes between two bounds: a network gives logits [..., n], and is trained by <see cref="CrossEntropy"/> with a target distribution [..., n] of a number (Bellemare et al. 2017, "A Distributional
/// Perspective on Reinforcement Learning"; Farebrother et al. 2024, "Stop Regressing"). The classes are n bins of equal width, each worth its centre, or n atoms of equal distance, the bounds among them.
/// </summary>
/// <param name="Low">Lower bound.</param>
/// <param name="High">Upper bound, above the lower.</param>
/// <param name="Count">n, at least 2.</param>
public sealed record ValueSupport(double Low, double High, int Count)
{
    /// <summary>The values that discounted sums over chunks of h rewards can take: a chunk is worth at most sum over k below h of chunkDiscount^k times the largest reward, and every later one discount^h of the one before. A task may end, so that 0 is among
    /// them.</summary>
    /// <param name="lowest">Smallest reward of a step.</param>
    /// <param name="highest">Largest reward of a step.</param>
    /// <param name="chunkDiscount">Of a step within a chunk, above 0.</param>
    /// <param name="discount">Of a step between chunks, above 0 and below 1.</param>
    /// <param name="chunk">h, at least 1.</param>
    /// <param name="count">n.</param>
    public static ValueSupport Of(double lowest, double highest, double chunkDiscount, double discount, int chunk, int count)
    {
        double steps = Enumerable.Range(0, chunk).Sum(k => Math.Pow(chunkDiscount, k)) / (1 - Math.Pow(discount, chunk));
        return new(Math.Min(0, lowest) * steps, Math.Max(0, highest) * steps, count);
    }

    /// <summary>Width of a bin.</summary>
    public double BinWidth => (High - Low) / Count;

    /// <summary>The middle of every bin: [n].</summary>
    public Tensor Centres(Graph graph) => Grid(graph, Count, Low + BinWidth / 2, BinWidth);

    /// <summary>The atoms: [n].</summary>
    public Tensor Atoms(Graph graph) => Grid(graph, Count, Low, AtomDistance);

    private double AtomDistance => (High - Low) / (Count - 1);

    private static Tensor Grid(Graph graph, int count, double first, double step) => graph.Constant(TensorType.Float([count]), Enumerable.Range(0, count).Select(i => first + i * step).ToArray());

    /// <summary>The share of numbers that lie outside the bounds, a scalar: a target there cannot be learned.</summary>
    public Tensor Outside(Tensor y) => ((y < Low) | (y > High)).Cast(DType.F32).Mean();

    /// <summary>HL-Gauss (Imani and White 2018): the mass in every bin of a normal around a number, divided by its mass within the bounds: [...] to [..., n]. Numbers are clipped to the bounds. Its mean is within half a bin of numbers at least
    /// half a bin inside the bounds; nearer to them it is up to 0.7 bins inside, since the half beyond is cut.</summary>
    /// <param name="y">[...]</param>
    /// <param name="sigmaBins">The normal's standard deviation in bin widths, above 0.</param>
    /// <param name="beyond">Numbers are clipped so many standard deviations outside the bounds, not at them, 0 to 5: the tail of a number outside is steeper at the bound. Farther away there is none in float32.</param>
    public Tensor HlGauss(Tensor y, double sigmaBins, double beyond = 0)
    {
        double sigma = sigmaBins * BinWidth;
        var edges = Grid(y.Graph, Count + 1, Low, BinWidth);
        var below = ((edges - y.Clip(Low - beyond * sigma, High + beyond * sigma).Expand(-1)) * (1 / (sigma * Math.Sqrt(2)))).Erf();
        return (below.Slice(-1, 1, Count) - below.Slice(-1, 0, Count)) / (below.Slice(-1, Count, 1) - below.Slice(-1, 0, 1));
    }

    /// <summary>Two-hot: the two atoms beside a number, in proportion to its nearness, so that their mean is the number: [...] to [..., n]. Numbers are clipped to the bounds.</summary>
    public Tensor TwoHot(Tensor y) => (1 - ((y.Clip(Low, High).Expand(-1) - Atoms(y.Graph)) * (1 / AtomDistance)).Abs()).Relu();

    /// <summary>The distribution over atoms of a distribution over other numbers (Bellemare et al. 2017, algorithm 1): each number's share goes to the two atoms beside it.</summary>
    /// <param name="probabilities">[..., m]</param>
    /// <param name="numbers">[..., m]</param>
    public Tensor Project(Tensor probabilities, Tensor numbers) => (probabilities.Expand(-1) * TwoHot(numbers)).Sum(-2);

    /// <summary>The expectation [...] of logits [..., n] over bins.</summary>
    public Tensor BinMean(Tensor logits) => (logits.Softmax() * Centres(logits.Graph)).Sum(-1);

    /// <summary>The expectation [...] of logits [..., n] over atoms.</summary>
    public Tensor AtomMean(Tensor logits) => (logits.Softmax() * Atoms(logits.Graph)).Sum(-1);

    /// <summary>- sum of target log softmax(logits): [..., n] to [...].</summary>
    public static Tensor CrossEntropy(Tensor target, Tensor logits) => -(target * logits.LogSoftmax()).Sum(-1);
}
