using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Data;

/// <summary>
/// <c>builtin:pendulum</c>: a dataset of mixed quality made in process. A capable controller (energy swing-up, then state feedback near upright) is
/// made worse per episode by a random gain, a constant bias and noise, and a fifth of the episodes is uniformly random; so the data hold what a good policy needs,
/// and imitating their average is far from it.
/// </summary>
public static class BuiltinPendulum
{
    /// <summary>How episodes come about: the share that is random, and ranges from which each of the others draws the controller's gain, a bias and the noise's standard deviation.</summary>
    internal sealed record Behaviour(double Random, (double Low, double High) Gain, (double Low, double High) Bias, (double Low, double High) Noise)
    {
        public static Behaviour Mixed { get; } = new(0.2, (-0.2, 1), (-1, 1), (0.2, 1.2));

        public static Behaviour Expert { get; } = new(0, (1, 1), (0, 0), (0.1, 0.1));

        public static Behaviour Medium { get; } = new(0, (0.5, 1), (-0.5, 0.5), (0.5, 1));

        public static Behaviour MediumMean { get; } = Medium with { Noise = (0, 0) };

        public static Behaviour Useless { get; } = new(1, (0, 0), (0, 0), (0, 0));
    }

    /// <summary>At least that many rows in whole episodes of 200 steps, cut to the number.</summary>
    internal static Dataset MakeRows(int rows, ulong seed, Behaviour behaviour)
    {
        var whole = Make((rows + 199) / 200, seed, behaviour);
        if (whole.Count == rows) return whole;
        var ends = whole.Ends[..rows];
        ends[^1] = true;
        return whole with
        {
            Observations = whole.Observations[..(3 * rows)],
            Actions = whole.Actions[..rows],
            Rewards = whole.Rewards[..rows],
            Terminals = whole.Terminals[..rows],
            Timeouts = whole.Timeouts[..rows],
            Ends = ends,
        };
    }

    /// <summary>The dataset; equal seed and size give equal rows.</summary>
    /// <param name="episodes">Episodes of 200 steps.</param>
    /// <param name="seed">Of starts, disturbances and noise.</param>
    public static Dataset Make(int episodes = 500, ulong seed = 0) => Make(episodes, seed, Behaviour.Mixed);

    private static Dataset Make(int episodes, ulong seed, Behaviour behaviour)
    {
        var environment = new Pendulum(episodes, clipFirst: true);
        var streams = Enumerable.Range(0, episodes).Select(i => new PhiloxStream(seed, $"builtin:pendulum[{i}]")).ToArray();
        var (gain, bias, noise, random) = (new double[episodes], new double[episodes], new double[episodes], new bool[episodes]);
        for (int i = 0; i < episodes; i++)
        {
            environment.Reset(i, streams[i]);
            random[i] = streams[i].NextUnit() < behaviour.Random;
            gain[i] = streams[i].NextUniform(behaviour.Gain.Low, behaviour.Gain.High);
            bias[i] = streams[i].NextUniform(behaviour.Bias.Low, behaviour.Bias.High);
            noise[i] = streams[i].NextUniform(behaviour.Noise.Low, behaviour.Noise.High);
        }

        int steps = environment.MaxSteps, rows = episodes * steps;
        var (observations, actions, rewards) = (new float[rows * 3], new float[rows], new float[rows]);
        var ends = new bool[rows];
        var (seen, applied, earned, ended) = (new float[episodes * 3], new float[episodes], new float[episodes], new bool[episodes]);
        for (int t = 0; t < steps; t++)
        {
            environment.Observe(seen);
            for (int i = 0; i < episodes; i++)
            {
                var state = environment.State(i);
                double u = random[i] ? streams[i].NextUniform(-2, 2) : gain[i] * Controller(state[0], state[1]) + bias[i] + noise[i] * streams[i].NextNormal();
                applied[i] = (float)Math.Clamp(u, -2, 2);
            }
            environment.Step(applied, earned, ended);
            for (int i = 0; i < episodes; i++)
            {
                int row = i * steps + t;
                seen.AsSpan(3 * i, 3).CopyTo(observations.AsSpan(3 * row));
                (actions[row], rewards[row], ends[row]) = (applied[i], earned[i], t == steps - 1);
            }
        }
        return new Dataset
        {
            Source = "builtin:pendulum",
            Layout = "builtin",
            ObservationSize = 3,
            ActionSize = 1,
            ActionSpace = environment.ActionSpace,
            Observations = observations,
            Actions = actions,
            Rewards = rewards,
            Terminals = new bool[rows],
            Timeouts = ends,
            Ends = ends,
            Environment = "Pendulum-v1",
        };
    }

    /// <summary>Pumps energy towards that of the upright position, and balances by state feedback near it.</summary>
    public static double Controller(double angle, double speed)
    {
        double wrapped = Pendulum.Wrap(angle);
        // With I = 1/3 the equation of motion is θ'' = 15 sin θ + 3u; energy relative to upright, over I:
        double energy = 0.5 * speed * speed + 15 * (Math.Cos(wrapped) - 1);
        if (Math.Abs(wrapped) < 0.5 && Math.Abs(speed) < 4) return Math.Clamp(-(12 * wrapped + 3 * speed), -2, 2);
        double pump = -energy * Math.Sign(speed == 0 ? 1 : speed);
        return Math.Clamp(pump, -2, 2);
    }
}
