using Engine.Algorithms.Networks;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Tests;

public class DiffusionTests
{
    /// <summary>What cannot be a diffusion is refused in one line that says what was expected.</summary>
    [Theory]
    [InlineData("diffusion-ql", "diffusion_steps", "0", "diffusion_steps=0: expected at least 1")]
    [InlineData("idql", "diffusion_steps", "-3", "diffusion_steps=-3: expected at least 1")]
    [InlineData("diffusion-ql", "beta_schedule", "linear", "expected between 0 and 1")]
    [InlineData("idql", "vp_beta_max", "1", "do not end in noise")]
    [InlineData("edp", "time_embedding_size", "15", "even")]
    [InlineData("diffusion-ql", "critics", "3", "critics=3: expected 2")]
    [InlineData("edp", "critic_activation", "mush", "critic_activation=mush")]
    [InlineData("edp", "dpm_steps", "0", "dpm_steps=0: expected at least 1")]
    [InlineData("edp", "loss", "sac", "td3 or iql")]
    [InlineData("idql", "actor_dropout", "1", "below 1")]
    [InlineData("diffuser", "horizon", "30", "horizon=30: expected a multiple of 8")]
    [InlineData("diffuser", "groups", "3", "a divisor of 32 channels")]
    [InlineData("synther", "sample_steps", "0", "sample_steps=0: expected at least 1")]
    [InlineData("synther", "sigma_min", "90", "below sigma_max=80")]
    public void Bad_settings_are_refused(string algorithm, string setting, string value, string expected)
    {
        var e = Assert.Throws<SettingsException>(() => SettingsJson.With(AlgorithmCatalogue.Find(algorithm).Defaults, [KeyValuePair.Create(setting, SettingsJson.ParseValue(value))]));
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void A_period_may_begin_late()
    {
        Assert.Equal([6, 9, 12], Enumerable.Range(0, 14).Where(new Period(3, 0, From: 5).Holds));
        // The program of late updates is compiled with the others.
        using var device = new CpuDevice();
        var (config, data) = SampleRuns.Of("diffusion-ql", settings: [("ema_start", "100"), ("ema_every", "2")]);
        using var trainer = new Training.Trainer(config, data, device, null);
        Assert.Equal(2, trainer.UpdatePrograms.Count);
    }

    /// <summary>The numbers of parameters that the papers' networks have (HalfCheetah: 17 observations, 6 actions).</summary>
    [Fact]
    public void Networks_have_the_references_sizes()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        long Count(Module module) => module.Parameters.Sum(p => p.Type.Elements);
        Assert.Equal(143_366 + 1_072, Count(new MlpDenoiser(new Builder(state, 0, "dql"), 6, 17, 16, new MlpSettings { HiddenSizes = [256, 256, 256] }, DenoiserInputs.StateTimeCondition)));
        Assert.InRange(Count(new LayerNormResNet(new Builder(state, 0, "idql"), 6, 17, new LayerNormResNetSettings())), 1.635e6, 1.645e6);
        Assert.InRange(Count(new ResidualMlp(new Builder(state, 0, "synther"), 42, new ResidualMlpSettings())), 25.5e6, 25.7e6);
        Assert.InRange(Count(new ResidualMlp(new Builder(state, 0, "small"), 42, new ResidualMlpSettings(Width: 1024))), 6.4e6, 6.6e6);
    }

    /// <summary>What a generator draws is a dataset that can be written, read and trained on; equal seeds draw equal rows.</summary>
    [Fact]
    public void A_generators_transitions_are_a_dataset()
    {
        string folder = Directory.CreateTempSubdirectory("engine-generator").FullName;
        try
        {
            using var device = new CpuDevice();
            var (config, data) = SampleRuns.Of("synther", steps: 30, settings: [("ema_decay", "0.5"), ("ema_every", "2")]);
            string run = Path.Combine(folder, "run"), file = Path.Combine(folder, "rows.hdf5");
            using (var trainer = new Training.Trainer(config, data, device, run))
            {
                // Mean and standard deviation are those of the rows.
                var table = data["offline"].Shard(0);
                var rewards = table.AtTransitions("rewards");
                Assert.Equal(rewards.Average(), trainer.State.Read("normalizer.mean")[4], 1e-3);
                Assert.Equal(Math.Sqrt(rewards.Average(r => Math.Pow(r - rewards.Average(), 2))), trainer.State.Read("normalizer.std")[4], 1e-3);
                Assert.Equal((0f, 1f), (trainer.State.Read("normalizer.mean")[^1], trainer.State.Read("normalizer.std")[^1]));
                trainer.Run(_ => { }, CancellationToken.None);
            }
            var drawn = Policies.Generator.Draw(run, 1203, seed: 4, "last", device);
            Assert.Equal(1203, drawn.Count);
            Assert.All(drawn.Actions, a => Assert.InRange(a, -2, 2)); // Pendulum's bounds
            Assert.Equal(drawn.Rewards, Policies.Generator.Draw(run, 1203, 4, "last", device).Rewards);
            Assert.NotEqual(drawn.Rewards[..1000], Policies.Generator.Draw(run, 1000, 5, "last", device).Rewards);
            Data.DatasetWriter.Write(drawn, file);
            var read = Data.TrainingData.Load(file, "Pendulum-v1");
            Assert.Equal(1203, read.Count);
            Assert.Equal(drawn.NextObservations, read.Shard(0).AtTransitions("observations", 1));
            Assert.Contains("at least 1", Assert.Throws<SettingsException>(() => Policies.Generator.Draw(run, 0, 4, "last", device)).Message, StringComparison.Ordinal);
        }
        finally { Directory.Delete(folder, true); }
    }

    /// <summary>Two actions that are as good as each other are both taken: the policy does not take their mean.</summary>
    [Fact]
    public void A_denoising_policy_learns_two_modes()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var schedule = NoiseSchedule.Vp(20);
        var policy = new DiffusionPolicy(new MlpDenoiser(new Builder(state, 1, "actor"), 1, 1, 16, new MlpSettings { HiddenSizes = [64, 64], Activation = Activations.Mish }, DenoiserInputs.StateTimeCondition), 1, schedule, Prediction.Noise,
            Samplers.Ddpm(schedule, Prediction.Noise, bound: 1));
        var optimiser = new AdamOptimiser(state, "actor", policy, new AdamSettings { LearningRate = new CosineSchedule(2e-3, 6000) });
        using var update = Program.Trace(state, g =>
        {
            g.Random.Use(RandomDraws.AddState(state, 5));
            var side = (g.Random.Uniform("side", [256, 1]) > 0.5).Cast(DType.F32) * 1.2 - 0.6;
            optimiser.Minimise(policy.Denoise(g.Constant(TensorType.Float([256, 1]), 0), side + g.Random.Normal("spread", [256, 1]) * 0.05).Error.Mean());
            g.Random.Advance();
        });
        update.Run(6000);
        using var sample = Program.Trace(state, g =>
        {
            g.Random.Use(state[RandomDraws.StateName]);
            g.Output("actions", policy.Sample(g.Constant(TensorType.Float([2000, 1]), 0), "act"));
        });
        sample.Run();
        var actions = sample.Read("actions");
        double left = actions.Count(a => a < -0.3) / 2000.0, right = actions.Count(a => a > 0.3) / 2000.0;
        Assert.InRange(left, 0.4, 0.6);
        Assert.InRange(right, 0.4, 0.6);
        Assert.InRange(left + right, 0.95, 1);
    }
}
