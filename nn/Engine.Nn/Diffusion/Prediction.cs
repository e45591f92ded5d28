namespace Engine.Nn.Diffusion;

/// <summary>
/// What a denoising network says of a state x = signal sample + noise e: the noise, the sample, or a mixture. All of them are linear in x and the network's output m, so that a step of any solver is a weighted sum of x and m.
/// </summary>
public abstract record Prediction
{
    /// <summary>m is the noise e (Ho et al. 2020).</summary>
    public static Prediction Noise { get; } = new NoisePrediction();

    /// <summary>m is the sample.</summary>
    public static Prediction Sample { get; } = new SamplePrediction();

    /// <summary>m = signal e - noise sample, where signal² + noise² = 1 (Salimans and Ho 2022).</summary>
    public static Prediction V { get; } = new VPrediction();

    /// <summary>m = sample - e, the velocity of a straight line from noise to sample, where signal = t and noise = 1 - t (Lipman et al. 2023).</summary>
    public static Prediction Flow { get; } = new FlowPrediction();

    /// <summary>The network F of Karras et al. 2022 ("Elucidating the Design Space of Diffusion-Based Generative Models", table 1), where signal = 1: sample = c_skip x + c_out m.</summary>
    /// <param name="sigmaData">Standard deviation of the data, above 0.</param>
    public static Prediction Edm(double sigmaData) => new EdmPrediction(sigmaData);

    /// <summary>The sample: OfState x + OfOutput m.</summary>
    public abstract (double OfState, double OfOutput) SampleOf(double signal, double noise);

    /// <summary>The noise e: OfState x + OfOutput m.</summary>
    public abstract (double OfState, double OfOutput) NoiseOf(double signal, double noise);

    /// <summary>What m is to be: OfSample sample + OfNoise e.</summary>
    public abstract (double OfSample, double OfNoise) TargetOf(double signal, double noise);

    private sealed record NoisePrediction : Prediction
    {
        public override (double OfState, double OfOutput) SampleOf(double signal, double noise) => (1 / signal, -noise / signal);

        public override (double OfState, double OfOutput) NoiseOf(double signal, double noise) => (0, 1);

        public override (double OfSample, double OfNoise) TargetOf(double signal, double noise) => (0, 1);
    }

    private sealed record SamplePrediction : Prediction
    {
        public override (double OfState, double OfOutput) SampleOf(double signal, double noise) => (0, 1);

        public override (double OfState, double OfOutput) NoiseOf(double signal, double noise) => (1 / noise, -signal / noise);

        public override (double OfSample, double OfNoise) TargetOf(double signal, double noise) => (1, 0);
    }

    private sealed record VPrediction : Prediction
    {
        public override (double OfState, double OfOutput) SampleOf(double signal, double noise) => (signal, -noise);

        public override (double OfState, double OfOutput) NoiseOf(double signal, double noise) => (noise, signal);

        public override (double OfSample, double OfNoise) TargetOf(double signal, double noise) => (-noise, signal);
    }

    private sealed record FlowPrediction : Prediction
    {
        public override (double OfState, double OfOutput) SampleOf(double signal, double noise) => (1, noise);

        public override (double OfState, double OfOutput) NoiseOf(double signal, double noise) => (1, -signal);

        public override (double OfSample, double OfNoise) TargetOf(double signal, double noise) => (1, -1);
    }

    private sealed record EdmPrediction(double SigmaData) : Prediction
    {
        // Of the noise s e, as everywhere: e is (x - sample) / s, without the difference of two large numbers.
        public override (double OfState, double OfOutput) SampleOf(double signal, double noise) => (Squared / Total(noise), noise * SigmaData / Math.Sqrt(Total(noise)));

        public override (double OfState, double OfOutput) NoiseOf(double signal, double noise) => (noise / Total(noise), -SigmaData / Math.Sqrt(Total(noise)));

        public override (double OfSample, double OfNoise) TargetOf(double signal, double noise) => (noise / (SigmaData * Math.Sqrt(Total(noise))), -SigmaData / Math.Sqrt(Total(noise)));

        private double Squared => SigmaData * SigmaData;

        private double Total(double noise) => noise * noise + Squared;
    }
}
