using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Networks;

/// <summary>Losses that several methods have, element by element.</summary>
public static class Losses
{
    /// <summary>Half the square up to delta, linear beyond (Huber 1964): of errors [...], [...].</summary>
    public static Tensor Huber(Tensor error, double delta)
    {
        var size = error.Abs();
        return Tensor.Select(size < delta, size.Square() * 0.5, (size - 0.5 * delta) * delta);
    }

    /// <summary>|expectile - [d &lt; 0]| d² (Newey and Powell 1987): of differences [...], [...]. Its minimum is the expectile of what the difference is taken from.</summary>
    public static Tensor Expectile(Tensor difference, double expectile) => ExpectileWeight(difference, expectile) * difference.Square();

    /// <summary>|expectile - [d &lt; 0]|, a constant: the weight of any error whose minimum is then the expectile of what the difference is taken from.</summary>
    public static Tensor ExpectileWeight(Tensor difference, double expectile) => (difference < 0).Cast(DType.F32) * (1 - 2 * expectile) + expectile;

    /// <summary>Gumbel regression (Garg et al. 2023, equation 10): the mean of exp(x) - x - 1 of x = min(difference / temperature, exponentMax), over exp(the largest x, at least -1), so that it does not overflow.</summary>
    public static Tensor Gumbel(Tensor difference, double temperature, double exponentMax)
    {
        var x = (difference / temperature).Minimum(exponentMax);
        var largest = x.Reshape(-1).Max(0).Maximum(-1).StopGradient();
        // The same as exp(x - largest) - (x + 1) exp(-largest), without losing the digits of small x in differences from 1.
        return ((x - largest).Expm1() - (-largest).Expm1() - x * (-largest).Exp()).Mean();
    }

    /// <summary>The losses of several critics [N] as one.</summary>
    public static Tensor Over(this Reduction reduction, Tensor perCritic) => reduction == Reduction.Sum ? perCritic.Sum() : perCritic.Mean();
}
