using System.Globalization;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Interop.Numpy;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

public class ClassicControlTests
{
    [DataFact]
    public void CartPole_predicts_every_real_transition()
    {
        var data = Dataset.Load(SharedData.Path("data/d3rlpy-classic/cartpole_v1.1.0.h5"));
        var cartpole = new CartPole(1, 500);
        double worst = 0;
        var (rewards, terminals, seen) = (new float[1], new bool[1], new float[4]);
        for (int i = 0; i + 1 < data.Count; i++)
        {
            if (data.Ends[i]) continue;
            for (int j = 0; j < 4; j++) cartpole.State(0)[j] = data.Observations[4 * i + j];
            cartpole.Step([data.Actions[i]], rewards, terminals);
            cartpole.Observe(seen);
            for (int j = 0; j < 4; j++) worst = Math.Max(worst, Math.Abs(seen[j] - data.Observations[4 * (i + 1) + j]));
            Assert.Equal(1, rewards[0]);
        }
        Assert.True(worst < 3e-7, $"errs by {worst}");
    }

    [DataFact]
    public void Acrobot_predicts_every_real_transition()
    {
        // In float64 text, by a reader of this test's own: action first, episode third from the left, six numbers at the end; the probabilities are a quoted list.
        var rows = File.ReadLines(SharedData.Path("data/coach-acrobot/acrobot_dataset.csv")).Skip(1).Select(line => line.Split(',')).ToArray();
        var acrobot = new Acrobot(1);
        double worst = 0;
        int steps = 0;
        var (rewards, terminals) = (new float[1], new bool[1]);
        for (int i = 0; i + 1 < rows.Length; i++)
        {
            if (rows[i][0].Length == 0) continue;
            double[] now = Numbers(rows[i]), next = Numbers(rows[i + 1]);
            var s = acrobot.State(0);
            (s[0], s[1], s[2], s[3]) = (Math.Atan2(now[1], now[0]), Math.Atan2(now[3], now[2]), now[4], now[5]);
            acrobot.Step([float.Parse(rows[i][0], CultureInfo.InvariantCulture)], rewards, terminals);
            double[] predicted = [Math.Cos(s[0]), Math.Sin(s[0]), Math.Cos(s[1]), Math.Sin(s[1]), s[2], s[3]];
            for (int j = 0; j < 6; j++) worst = Math.Max(worst, Math.Abs(predicted[j] - next[j]));
            steps++;
        }
        Assert.True(steps > 9000 && worst < 1e-13, $"{steps} steps, errs by {worst}");

        static double[] Numbers(string[] cells) => cells[^6..].Select(c => double.Parse(c, CultureInfo.InvariantCulture)).ToArray();
    }

    [DataFact]
    public void Recorded_experts_are_predicted_too()
    {
        foreach (var (file, environment) in new (string, StateEnvironment)[] { ("expert_cartpole", new CartPole(1, 500)), ("expert_pendulum", new Pendulum(1, clipFirst: false)) })
        {
            using var npz = NpzFile.Open(SharedData.Path($"data/sb2-expert/{file}.npz"));
            float[] observations = npz.Read("obs").ToSingles(), actions = npz.Read("actions").ToSingles();
            double[] starts = npz.Read("episode_starts").ToDoubles();
            int s = environment.ObservationSize, steps = 0;
            var (rewards, terminals, seen) = (new float[1], new bool[1], new float[s]);
            double worst = 0;
            for (int i = 0; i + 1 < actions.Length; i++)
            {
                if (starts[i + 1] != 0) continue;
                var o = observations.AsSpan(s * i, s);
                var state = environment.State(0);
                if (environment is Pendulum) (state[0], state[1]) = (Math.Atan2(o[1], o[0]), o[2]);
                else for (int j = 0; j < s; j++) state[j] = o[j];
                environment.Step(actions.AsSpan(i, 1), rewards, terminals);
                environment.Observe(seen);
                for (int j = 0; j < s; j++) worst = Math.Max(worst, Math.Abs(seen[j] - observations[s * (i + 1) + j]));
                Assert.False(terminals[0]);
                steps++;
            }
            Assert.True(steps > 19_000 && worst < 6e-7, $"{file}: {steps} steps, errs by {worst}");
        }
    }

    [Fact]
    public void A_terminating_step_is_rewarded_as_the_task_says()
    {
        var (rewards, terminals) = (new float[3], new bool[3]);
        // The middle one of three copies ends; its neighbours go on.
        var cartpole = new CartPole(3, 500);
        (cartpole.State(1)[0], cartpole.State(1)[1]) = (2.39, 3);
        cartpole.Step([1, 1, 1], rewards, terminals);
        Assert.Equal([false, true, false], terminals);
        Assert.Equal([1f, 1f, 1f], rewards);
        Assert.Equal(cartpole.State(0).ToArray(), cartpole.State(2).ToArray());
        (cartpole.State(1)[0], cartpole.State(1)[1], cartpole.State(1)[2]) = (0, 0, -0.2095); // 12 degrees are 0.2094
        cartpole.Step([1, 1, 1], rewards, terminals);
        Assert.Equal([false, true, false], terminals);

        var acrobot = new Acrobot(3);
        (acrobot.State(1)[0], acrobot.State(1)[2]) = (Math.PI - 0.1, 1);
        acrobot.Step([1, 1, 1], rewards, terminals);
        Assert.Equal([false, true, false], terminals);
        Assert.Equal([-1f, 0f, -1f], rewards);
    }

    [Fact]
    public void MountainCar_moves_by_an_independent_formula_and_stays_in_its_valley()
    {
        var car = new MountainCar(1);
        var random = new PhiloxStream(8, "car");
        var (rewards, terminals) = (new float[1], new bool[1]);
        int wall = 0, goal = 0, fast = 0, action = 1;
        double worst = 0;
        car.Reset(0, random);
        Assert.True(car.State(0)[0] is >= -0.6 and < -0.4 && car.State(0)[1] == 0);
        for (int t = 0; t < 200_000; t++)
        {
            var s = car.State(0);
            var (x, v) = (s[0], s[1]);
            if (t % 7 == 0) action = random.NextUnit() < 0.6 ? v >= 0 ? 2 : 0 : random.NextInt(3);
            car.Step([action], rewards, terminals);
            // cos 3x by the cosine of x alone.
            double c = Math.Cos(x), expected = v + 0.001 * (action - 1) - 0.0025 * (4 * c * c * c - 3 * c);
            if (Math.Abs(expected) > 0.07) (expected, fast) = (Math.Sign(expected) * 0.07, fast + 1);
            if (x + expected < -1.2) (expected, wall) = (0, wall + 1);
            worst = Math.Max(worst, Math.Abs(s[1] - expected));
            Assert.True(s[0] is >= -1.2 and <= 0.6 && Math.Abs(s[1]) <= 0.07);
            Assert.Equal(s[0] >= 0.5 && s[1] >= 0, terminals[0]);
            if (!terminals[0]) continue;
            goal++;
            car.Reset(0, random);
        }
        Assert.True(wall > 10 && goal > 100 && worst < 1e-15, $"{wall} times at the wall, {goal} at the goal, {fast} at full speed, errs by {worst}");
    }

    [Fact]
    public void MountainCar_follows_its_equations()
    {
        var car = new MountainCar(1);
        var (rewards, terminals) = (new float[1], new bool[1]);
        void From(double x, double v) => (car.State(0)[0], car.State(0)[1]) = (x, v);
        From(-0.5, 0.01);
        car.Step([2], rewards, terminals);
        double v = 0.01 + 0.001 - 0.0025 * Math.Cos(-1.5);
        Assert.Equal((v, -0.5 + v), (car.State(0)[1], car.State(0)[0]));
        From(-1.19, -0.07);
        car.Step([0], rewards, terminals); // against the wall
        Assert.Equal((-1.2, 0.0), (car.State(0)[0], car.State(0)[1]));
        From(0.49, 0.05);
        car.Step([1], rewards, terminals);
        Assert.True(terminals[0]);
        Assert.Equal(-1, rewards[0]);

        var continuous = new MountainCarContinuous(1);
        (continuous.State(0)[0], continuous.State(0)[1]) = (0.44, 0.05);
        continuous.Step([3], rewards, terminals); // pushes like 1, pays for 3
        Assert.True(terminals[0]);
        Assert.Equal(100 - 0.1f * 9, rewards[0], 1e-5);
        Assert.Equal((double)(float)continuous.State(0)[0], continuous.State(0)[0]);
    }

    /// <summary>Known returns of a uniformly random policy, and a simple rule that solves the task.</summary>
    [Theory]
    [InlineData("CartPole-v1", 20, 25)]
    [InlineData("MountainCar-v0", -200, -200)]
    [InlineData("MountainCarContinuous-v0", -34, -32.5)]
    [InlineData("Acrobot-v1", -500, -496)]
    [InlineData("Pendulum-v1", -1290, -1170)]
    [InlineData("maze2d-umaze-v1", 25, 31)] // 28.0 +- 0.4 over 20,000 episodes; D4RL's 23.85 and 13.13 are of few
    [InlineData("maze2d-medium-v1", 14, 22)]
    public void Random_policies_reach_their_known_returns(string id, double low, double high)
    {
        var random = new PhiloxStream(11, id);
        var space = EnvironmentCatalogue.Find(id).Create(1).ActionSpace;
        var result = Evaluator.Run(EnvironmentCatalogue.Find(id), (_, _, actions) =>
        {
            for (int i = 0; i < actions.Length; i++) actions[i] = space is DiscreteActions d ? random.NextInt(d.Count) : (float)random.NextUniform(-1, 1);
        }, 2000, 0);
        Assert.InRange(result.Mean, low, high);
    }

    [Theory]
    [InlineData("MountainCar-v0", -125, -100)]
    [InlineData("MountainCarContinuous-v0", 85, 99)]
    [InlineData("CartPole-v1", 499, 500)]
    [InlineData("CartPole-v0", 200, 200)]
    public void Simple_rules_solve_the_tasks(string id, double low, double high)
    {
        var entry = EnvironmentCatalogue.Find(id);
        int size = entry.Create(1).ObservationSize;
        var result = Evaluator.Run(entry, (observations, rows, actions) =>
        {
            for (int i = 0; i < rows; i++)
            {
                var o = observations.Slice(i * size, size);
                // Push along the velocity; or lean against the fall.
                actions[i] = id switch
                {
                    "MountainCar-v0" => o[1] >= 0 ? 2 : 0,
                    "MountainCarContinuous-v0" => o[1] >= 0 ? 1 : -1,
                    _ => o[2] + 0.3f * o[3] + 0.03f * o[0] + 0.1f * o[1] > 0 ? 1 : 0,
                };
            }
        }, 100, 0);
        Assert.InRange(result.Mean, low, high);
    }
}
