using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;

namespace Engine.Algorithms.Tests;

public class EnvironmentTests
{
    [Fact]
    public void Pendulum_follows_its_equations_and_the_versions_differ_at_the_clip()
    {
        foreach (bool v1 in new[] { true, false })
        {
            var pendulum = new Pendulum(1, v1);
            (pendulum.State(0)[0], pendulum.State(0)[1]) = (3.0, 7.9);
            var (rewards, terminals, observations) = (new float[1], new bool[1], new float[3]);
            pendulum.Step([5f], rewards, terminals); // beyond the torque's bound
            double wrapped = 3.0, cost = wrapped * wrapped + 0.1 * 7.9 * 7.9 + 0.001 * 4;
            Assert.Equal(-cost, rewards[0], 1e-5);
            double unclipped = 7.9 + (15 * Math.Sin(3.0) + 6) * 0.05;
            Assert.True(unclipped > 8);
            Assert.Equal(8, pendulum.State(0)[1]);
            Assert.Equal(3.0 + (v1 ? 8 : unclipped) * 0.05, pendulum.State(0)[0], 1e-12);
            pendulum.Observe(observations);
            Assert.Equal((float)Math.Cos(pendulum.State(0)[0]), observations[0]);
            Assert.False(terminals[0]);
        }
    }

    [DataFact]
    public void Real_transitions_follow_the_old_integration_order()
    {
        var data = TransitionDataset.From(Dataset.Load(SharedData.Path("data/d3rlpy-classic/pendulum_v1.1.0.h5")), new ActionBounds([-2], [2]));
        var (rewards, terminals, observations) = (new float[1], new bool[1], new float[3]);
        double worstV0 = 0, worstV1 = 0, worstReward = 0;
        foreach (bool v1 in new[] { false, true })
        {
            var pendulum = new Pendulum(1, v1);
            for (int i = 0; i < data.Count; i++)
            {
                (pendulum.State(0)[0], pendulum.State(0)[1]) = (Math.Atan2(data.Observations[3 * i + 1], data.Observations[3 * i]), data.Observations[3 * i + 2]);
                pendulum.Step([data.Actions[i] * 2], rewards, terminals);
                pendulum.Observe(observations);
                double error = 0;
                for (int j = 0; j < 3; j++) error = Math.Max(error, Math.Abs(observations[j] - data.NextObservations[3 * i + j]));
                if (v1) worstV1 = Math.Max(worstV1, error);
                else worstV0 = Math.Max(worstV0, error);
                worstReward = Math.Max(worstReward, Math.Abs(rewards[0] - data.Rewards[i]));
            }
        }
        Assert.True(data.Count > 98_000 && worstV0 < 5e-7, $"{data.Count} rows, v0 errs by {worstV0}");
        Assert.True(worstReward < 5e-6, $"rewards err by {worstReward}");
        Assert.True(worstV1 > 1e-3, "the data should tell the versions apart");
    }

    [Fact]
    public void Start_states_do_not_depend_on_the_policy()
    {
        var firsts = new List<float[]>();
        foreach (float action in new[] { -1f, 0.5f })
        {
            float[]? first = null;
            var result = Evaluator.Run(EnvironmentCatalogue.Find("Pendulum-v1"), (observations, rows, actions) =>
            {
                first ??= observations.ToArray();
                actions.Fill(action);
            }, 5, 3);
            firsts.Add(first!);
            Assert.Equal(200, result.MeanLength);
        }
        Assert.Equal(firsts[0], firsts[1]);
    }

    [Fact]
    public void The_built_in_controller_is_good_and_its_dataset_mixed_and_repeatable()
    {
        var result = Evaluator.Run(EnvironmentCatalogue.Find("Pendulum-v1"), (o, rows, actions) =>
        {
            for (int i = 0; i < rows; i++) actions[i] = (float)(BuiltinPendulum.Controller(Math.Atan2(o[3 * i + 1], o[3 * i]), o[3 * i + 2]) / 2);
        }, 500, 0);
        Assert.True(result.Mean > -165, $"controller reaches {result.Mean:F1}");
        TransitionDataset a = TransitionDataset.From(Dataset.Load("builtin:pendulum"), null), b = TransitionDataset.From(Dataset.Load("builtin:pendulum"), null), c = TransitionDataset.From(Dataset.Load("builtin:pendulum,seed=1"), null);
        Assert.Equal(a.Fingerprint, b.Fingerprint);
        Assert.NotEqual(a.Fingerprint, c.Fingerprint);
        Assert.InRange(a.EpisodeReturns.Average(), -1100, -400);
        Assert.True(a.EpisodeReturns.Max() > -200 && a.EpisodeReturns.Min() < -1000);
    }
}
