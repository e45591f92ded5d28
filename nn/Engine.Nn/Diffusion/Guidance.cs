using Engine.Autodiff;

namespace Engine.Nn.Diffusion;

/// <summary>Ways to lead a sampler: other outputs in the place of the network's, and known parts put into its states.</summary>
public static class Guidance
{
    /// <summary>Without a classifier (Ho and Salimans 2022): (1 - weight) output without the condition + weight output with it. 1 is the conditional network, 0 the other.</summary>
    public static Func<Tensor, int, Tensor> ClassifierFree(Func<Tensor, int, Tensor> unconditional, Func<Tensor, int, Tensor> conditional, double weight) => (x, k) => weight switch
    {
        0 => unconditional(x, k),
        1 => conditional(x, k),
        _ => unconditional(x, k) * (1 - weight) + conditional(x, k) * weight,
    };

    /// <summary>With a classifier (Dhariwal and Nichol 2021, section 4): the noise e - scale noise gradient of its log probability at the state, whatever the network predicts.</summary>
    /// <param name="network">The output.</param>
    /// <param name="prediction">What it means.</param>
    /// <param name="level">Signal and noise at the sampler's time of that number.</param>
    /// <param name="logProbability">[B] of states at that time.</param>
    /// <param name="scale">How strongly.</param>
    public static Func<Tensor, int, Tensor> Classifier(Func<Tensor, int, Tensor> network, Prediction prediction, Func<int, (double Signal, double Noise)> level, Func<Tensor, int, Tensor> logProbability, double scale) => (x, k) =>
    {
        var (signal, noise) = level(k);
        var gradient = Gradients.Of(logProbability(x, k).Sum(), x)[0];
        // The sample rises by noise² / signal times the gradient, and is OfOutput times the output.
        return network(x, k) + gradient * (scale * noise * noise / (signal * prediction.SampleOf(signal, noise).OfOutput));
    };

    /// <summary>Steps up a value before the network sees the state (Janner et al. 2022, "Planning with Diffusion", algorithm 1): x + scale variance gradient, several times.</summary>
    /// <param name="x">The state [B, ...].</param>
    /// <param name="value">[B] of states.</param>
    /// <param name="step">scale times the variance.</param>
    /// <param name="count">How many steps.</param>
    /// <param name="after">What becomes of the state after each, such as <see cref="Known"/>; null: nothing.</param>
    public static Tensor Ascend(Tensor x, Func<Tensor, Tensor> value, double step, int count, Func<Tensor, Tensor>? after = null)
    {
        for (int i = 0; i < count; i++)
        {
            x = x + Gradients.Of(value(x).Sum(), x)[0].StopGradient() * step;
            if (after is not null) x = after(x);
        }
        return x;
    }

    /// <summary>Inpainting: the known part of a state put in the place of its own.</summary>
    /// <param name="x">The state [B, ...].</param>
    /// <param name="known">Of its shape, or broadcasting to it.</param>
    /// <param name="mask">Bool, of its shape or broadcasting to it: where it is known.</param>
    public static Tensor Known(Tensor x, Tensor known, Tensor mask) => Tensor.Select(mask, known, x);
}
