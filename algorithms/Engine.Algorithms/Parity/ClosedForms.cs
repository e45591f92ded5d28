using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms.Parity;

/// <summary>Computations of values and returns that fixtures record with their formula alone.</summary>
internal static class ClosedForms
{
    /// <summary>HL-Gauss and two-hot targets, the categorical projection, their means, cross-entropies and gradients.</summary>
    public static void ValueDistributions(Computing c)
    {
        var support = new ValueSupport(c.Number("value_min"), c.Number("value_max"), c.Count("bins"));
        var logits = c.Input("logits");
        void Target(string name, Tensor target, Tensor values)
        {
            var loss = ValueSupport.CrossEntropy(target, logits);
            c.Report(name, target);
            c.Report($"{name}_mean", (target * values).Sum(-1));
            c.Report($"{name}_cross_entropy", loss);
            c.Report($"{name}_gradient", Gradients.Of(loss.Mean(), logits)[0]);
        }
        var (centres, atoms) = (support.Centres(c.Graph), support.Atoms(c.Graph));
        Target("hl_gauss", support.HlGauss(c.Input("targets"), c.Number("sigma_bins")), centres);
        Target("two_hot", support.TwoHot(c.Input("targets")), atoms);
        var moved = c.Input("rewards").Expand(-1) + c.Number("discount") * (1 - c.Input("terminals")).Expand(-1) * atoms;
        Target("projected", support.Project(c.Input("next_probabilities"), moved), atoms);
        c.Report("value_centres", support.BinMean(logits));
        c.Report("value_atoms", support.AtomMean(logits));
    }

    /// <summary>Advantages and returns of streams of episodes.</summary>
    public static void Returns(Computing c)
    {
        var returns = new Returns(c.Input("rewards"), c.Input("next_values"), c.Input("terminals"), c.Input("timeouts"), c.Number("discount"));
        var values = c.Input("values");
        var advantages = returns.Advantages(values, c.Number("lambda"));
        c.Report("gae", advantages);
        c.Report("gae_returns", advantages + values);
        c.Report("lambda_returns", returns.Lambda(c.Number("lambda")));
        c.Report("bootstrapped_returns", returns.Lambda(1));
        c.Report("n_step_returns", returns.NStep(c.Count("n_step")));
    }
}
