using Engine.Autodiff;
using Engine.Kernels;
using Engine.Nn.Diffusion;

namespace Engine.Algorithms.Diffusion;

/// <summary>Schedules, and samples of a fixed noise model e(x, t) = x W + b + (t / T) u by every sampler of denoising diffusion that the reference implementations of DDIM and DPM-Solver have.</summary>
internal static class RecordedSamplers
{
    public static void Trace(Computing c)
    {
        try { Run(c); }
        catch (ArgumentException e) { throw new SettingsException(e.Message); }
    }

    private static void Run(Computing c)
    {
        var cosine = NoiseSchedule.Cosine(c.Count("ddpm_steps"));
        var linear = NoiseSchedule.Linear(c.Count("diffusion_steps"), c.Number("beta_first"), c.Number("beta_last"), scale: false);
        void Table(string name, NoiseSchedule schedule) => c.Report(name, c.Graph.Constant(TensorType.Float([schedule.Steps]), Enumerable.Range(0, schedule.Steps).Select(schedule.Beta).ToArray()));
        Table("beta_cosine", cosine);
        Table("beta_linear", linear);

        void Sample(string name, Sampler sampler, NoiseSchedule schedule, string? draws = null)
        {
            Tensor weight = c.Input("denoiser.linear.weight"), bias = c.Input("denoiser.linear.bias"), time = c.Input("denoiser.time");
            Tensor Network(Tensor x, int k) => x.Linear(weight, bias) + time * (sampler.Times[k] / schedule.Steps);
            c.Report(name, sampler.Run(c.Input("noise.sample_initial"), Network, draws is null ? null : k => c.Input(draws).At(0, k)));
        }
        Sample("ddpm", Samplers.Ddpm(cosine, Prediction.Noise, bound: 1, noiseOfBeta: true), cosine, "noise.sample_ddpm");
        Sample("ddim", Samplers.Ddim(linear, Prediction.Noise, c.Count("ddim_steps")), linear);
        Sample("ddim_eta", Samplers.Ddim(linear, Prediction.Noise, c.Count("ddim_steps"), c.Number("ddim_eta")), linear, "noise.sample_ddim");
        var solver = new DpmSolver(linear, Prediction.Noise);
        Sample("dpm_solver_pp_2m", solver.PlusPlus2M(c.Count("dpm_steps")), linear);
        Sample("dpm_solver_pp_2m_logsnr", solver.PlusPlus2M(c.Count("dpm_steps"), evenInLambda: true), linear);
        Sample("dpm_solver_3s", solver.Singlestep3(c.Count("dpm_steps")), linear);
    }
}
