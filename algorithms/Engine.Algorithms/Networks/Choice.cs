using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Networks;

/// <summary>How a policy chooses among several.</summary>
public static class Choice
{
    // Half a step of the uniform grid: keeps both logarithms finite.
    private const double Tiny = 1.0 / (1 << 25);

    /// <summary>The most probable of n, or a draw (the largest of logits + Gumbel noise), of the draw <c>action</c>: I32 [rows].</summary>
    /// <param name="a">How to act.</param>
    /// <param name="logits">[rows, n]</param>
    public static Tensor Of(Acting a, Tensor logits)
    {
        if (a.Mode == Mode.Sample) logits -= (-(a.Uniform("action", logits.Shape[^1]) + Tiny).Log()).Log();
        return logits.ArgMax(-1);
    }

    /// <summary>One of n rows' vectors [rows, n, A]: [rows, A].</summary>
    /// <param name="all">[rows, n, A]</param>
    /// <param name="index">I32 [rows].</param>
    public static Tensor Take(Tensor all, Tensor index)
    {
        int rows = all.Shape[0], n = all.Shape[1];
        return all.Reshape(rows * n, -1).Gather(all.Graph.Iota(TensorType.Int([rows])) * n + index);
    }
}
