using Engine.Autodiff;

namespace Engine.Nn.Diffusion;

/// <summary>Straight lines from noise to samples (Lipman et al. 2023, "Flow Matching for Generative Modeling"; Liu et al. 2023): x_t = (1 - t) noise + t sample, and a network learns the velocity sample - noise.</summary>
public static class FlowMatching
{
    /// <summary>The squared error [B, n] of a velocity at x_t.</summary>
    /// <param name="samples">[B, n]</param>
    /// <param name="noise">[B, n]</param>
    /// <param name="time">t [B, 1], 0 to 1.</param>
    /// <param name="velocity">Of x_t [B, n] at t [B, 1].</param>
    public static Tensor Error(Tensor samples, Tensor noise, Tensor time, Func<Tensor, Tensor, Tensor> velocity) =>
        (velocity((1 - time) * noise + time * samples, time) - (samples - noise)).Square();
}
