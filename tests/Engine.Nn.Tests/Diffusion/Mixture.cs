using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn.Tests.Diffusion;

/// <summary>A mixture of two normals in the plane, whose noise at every level is known: the exact network of every prediction.</summary>
internal static class Mixture
{
    private static readonly (double Weight, double X, double Y, double Std)[] Parts = [(0.3, -0.6, 0.2, 0.15), (0.7, 0.5, -0.1, 0.25)];

    /// <summary>Weight, mean and standard deviation of a part.</summary>
    public static (double Weight, double X, double Y, double Std) Part(int i) => Parts[i];

    /// <summary>The mean.</summary>
    public static (double X, double Y) Mean => (Parts.Sum(p => p.Weight * p.X), Parts.Sum(p => p.Weight * p.Y));

    /// <summary>Variance of the first coordinate.</summary>
    public static double VarianceOfX => Parts.Sum(p => p.Weight * (p.Std * p.Std + p.X * p.X)) - Mean.X * Mean.X;

    /// <summary>Log density [B] of x = signal sample + noise e.</summary>
    public static Tensor LogDensity(Tensor x, double signal, double noise) => Tensor.Concat(-1, [.. Parts.Select(p =>
    {
        double variance = signal * signal * p.Std * p.Std + noise * noise;
        var centred = x - x.Graph.Constant(TensorType.Float([2]), signal * p.X, signal * p.Y);
        return (centred.Square().Sum(-1) * (-0.5 / variance) + (Math.Log(p.Weight) - Math.Log(2 * Math.PI * variance))).Expand(-1);
    })]).LogSumExp();

    /// <summary>The expected noise e given x: minus noise times the gradient of the log density.</summary>
    public static Tensor Noise(Tensor x, double signal, double noise) => Gradients.Of(LogDensity(x, signal, noise).Sum(), x)[0] * -noise;

    /// <summary>The exact network of a prediction.</summary>
    public static Tensor Output(Nn.Diffusion.Prediction prediction, Tensor x, double signal, double noise)
    {
        var (ofState, ofOutput) = prediction.NoiseOf(signal, noise);
        var (sampleOfState, sampleOfOutput) = prediction.SampleOf(signal, noise);
        // Where nothing of the sample is left, its mean is expected.
        if (signal == 0) return (x.Graph.Constant(TensorType.Float([2]), Mean.X, Mean.Y) - x * sampleOfState) * (1 / sampleOfOutput);
        // From the noise where it depends on the output, else from the sample.
        if (Math.Abs(ofOutput) > 1e-9) return (Noise(x, signal, noise) - x * ofState) * (1 / ofOutput);
        return ((x - Noise(x, signal, noise) * noise) * (1 / signal) - x * sampleOfState) * (1 / sampleOfOutput);
    }
}
