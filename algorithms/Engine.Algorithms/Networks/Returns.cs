using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Networks;

/// <summary>
/// Returns and advantages of recorded streams of episodes, [T, E]: E streams of T steps that follow one another. Where an episode terminates nothing follows; where it is cut, by a time limit or by the recording's end, the value of the state
/// after it does.
/// </summary>
/// <param name="Rewards">[T, E]</param>
/// <param name="NextValues">Values of the states after the steps, [T, E].</param>
/// <param name="Terminals">1 where the task ended, [T, E].</param>
/// <param name="Timeouts">1 where the episode was cut, [T, E].</param>
/// <param name="Discount">In [0, 1].</param>
public sealed record Returns(Tensor Rewards, Tensor NextValues, Tensor Terminals, Tensor Timeouts, double Discount)
{
    private int Steps => Rewards.Shape[0];

    /// <summary>1 where the next row belongs to the same episode, [T, E].</summary>
    private Tensor Goes()
    {
        var inside = (Rewards.Graph.Iota(TensorType.Int([Steps, 1])) < Steps - 1).Cast(DType.F32);
        return inside * (1 - Terminals.Maximum(Timeouts));
    }

    /// <summary>Generalised advantages (Schulman et al. 2016): the sums of (discount lambda)^k times the temporal-difference errors to the episode's end.</summary>
    /// <param name="values">Of the steps' states, [T, E].</param>
    /// <param name="lambda">In [0, 1].</param>
    public Tensor Advantages(Tensor values, double lambda) => Backwards(Rewards + Discount * (1 - Terminals) * NextValues - values, Goes() * (Discount * lambda));

    /// <summary>lambda-returns (Sutton and Barto 2018, equation 12.18): R = r + discount ((1 - lambda) V' + lambda R').</summary>
    /// <param name="lambda">In [0, 1]; 1: the rewards to the end, and the value there.</param>
    public Tensor Lambda(double lambda)
    {
        var trace = Goes() * lambda;
        return Backwards(Rewards + Discount * (1 - Terminals) * NextValues * (1 - trace), trace * Discount);
    }

    /// <summary>The rewards of up to n steps and the value after them; fewer steps where the episode ends before.</summary>
    /// <param name="n">At least 1.</param>
    public Tensor NStep(int n)
    {
        var (goes, one) = (Goes(), Rewards + Discount * (1 - Terminals) * NextValues);
        var sum = one;
        // Of the last row nothing is asked that lies beyond it.
        for (int k = 1; k < n && Steps > 1; k++) sum = Tensor.Select(goes > 0, Rewards + Discount * Tensor.Concat(0, sum.Slice(0, 1, Steps - 1), one.Slice(0, 0, 1)), one);
        return sum;
    }

    /// <summary>x_t = a_t + b_t x_(t+1), from the last row to the first.</summary>
    private static Tensor Backwards(Tensor a, Tensor b)
    {
        int steps = a.Shape[0];
        var last = steps - 1 - a.Graph.Iota(TensorType.Int([steps]));
        var (_, stacked) = a.Graph.Repeat(steps, [a.Graph.Constant(TensorType.Float([a.Shape[1]]), 0)], (inner, carried) =>
        {
            var at = steps - 1 - inner.Step;
            var x = a.Gather(at) + b.Gather(at) * carried[0];
            return ([x], [x]);
        });
        return stacked[0].Gather(last);
    }
}
