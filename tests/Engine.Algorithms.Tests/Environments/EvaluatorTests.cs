using Engine.Algorithms.Policies;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Kernels;

namespace Engine.Algorithms.Tests;

public class EvaluatorTests
{
    /// <summary>A policy that depends on nothing but the row it is given.</summary>
    private static BatchPolicy Policy(EnvironmentEntry entry)
    {
        var probe = entry.Create(1);
        int s = probe.ObservationSize, a = probe.ActionSpace.Size;
        return (observations, rows, actions) =>
        {
            for (int i = 0; i < rows; i++)
            {
                float sum = 0;
                foreach (float o in observations.Slice(i * s, s)) sum += o;
                for (int j = 0; j < a; j++) actions[i * a + j] = probe.ActionSpace is DiscreteActions d ? (int)Math.Abs(sum * 10) % d.Count : MathF.Sin(7 * sum + j);
            }
        };
    }

    [Theory]
    [InlineData("Pendulum-v1")]
    [InlineData("CartPole-v1")]
    [InlineData("MountainCarContinuous-v0")]
    [InlineData("Acrobot-v1")]
    [InlineData("maze2d-medium-dense-v1")]
    [InlineData("PointMaze_UMazeDense-v3")]
    public void Threads_and_the_number_of_episodes_change_no_bit(string id)
    {
        var entry = EnvironmentCatalogue.Find(id);
        var alone = Evaluator.Run(entry, Policy(entry), 200, 5);
        Assert.True(alone.Returns.Distinct().Count() > 1);
        foreach (int threads in new[] { 2, 3, 8 })
        {
            var shared = Evaluator.Run(entry, Policy(entry), 200, 5, threads: threads);
            Assert.Equal(alone.Returns, shared.Returns);
            Assert.Equal(alone.MeanLength, shared.MeanLength);
        }
        Assert.Equal(alone.Returns[..65], Evaluator.Run(entry, Policy(entry), 65, 5, threads: 2).Returns);
        Assert.Equal(alone.Returns[..1], Evaluator.Run(entry, Policy(entry), 1, 5).Returns);
    }

    [Theory]
    [InlineData("CartPole-v1")]
    [InlineData("MountainCarContinuous-v0")]
    public void A_finished_episode_counts_its_last_step_and_no_more(string id)
    {
        // Every episode again by hand, one copy that stops where the task ends.
        var entry = EnvironmentCatalogue.Find(id);
        var policy = id == "CartPole-v1" ? Policy(entry) : (o, rows, actions) =>
        {
            for (int i = 0; i < rows; i++) actions[i] = o[2 * i + 1] >= 0 ? 1 : -1;
        };
        var result = Evaluator.Run(entry, policy, 100, 2, threads: 2);
        var (action, reward, terminal) = (new float[1], new float[1], new bool[1]);
        double steps = 0;
        for (int i = 0; i < 100; i++)
        {
            var one = entry.Create(1);
            one.Reset(0, new PhiloxStream(2, $"evaluation[{i}]"));
            var observation = new float[one.ObservationSize];
            double sum = 0;
            terminal[0] = false;
            for (int t = 0; t < one.MaxSteps && !terminal[0]; t++, steps++)
            {
                one.Observe(observation);
                policy(observation, 1, action);
                one.Step(action, reward, terminal);
                sum += reward[0];
            }
            Assert.Equal(sum, result.Returns[i]);
        }
        Assert.Equal(steps / 100, result.MeanLength, 1e-9);
        Assert.True(result.MeanLength < entry.Create(1).MaxSteps);
    }

    [Fact]
    public void Nonsense_is_refused_and_a_stop_ends_it()
    {
        var entry = EnvironmentCatalogue.Find("Pendulum-v1");
        Assert.Contains("at least 1", Assert.Throws<SettingsException>(() => Evaluator.Run(entry, Policy(entry), 0, 0)).Message);
        Assert.Contains("at least 1", Assert.Throws<SettingsException>(() => Evaluator.Run(entry, Policy(entry), 1, 0, threads: 0)).Message);
        foreach (int threads in new[] { 1, 2 })
        {
            using var source = new CancellationTokenSource();
            int calls = 0;
            BatchPolicy stopping = (_, _, _) => { if (++calls == 3) source.Cancel(); };
            Assert.ThrowsAny<OperationCanceledException>(() => Evaluator.Run(entry, stopping, 130, 0, threads, source.Token));
            Assert.Equal(3, calls);
        }
    }
}
