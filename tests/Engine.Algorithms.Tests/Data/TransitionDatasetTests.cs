using Engine.Algorithms.Data;

namespace Engine.Algorithms.Tests;

public class TransitionDatasetTests
{
    private static readonly ActionBounds Bounds = new([-2], [2]);

    /// <summary>Six rows with observation 0..5, in two trajectories of three.</summary>
    private static Dataset Flat(bool[] terminals, bool[] ends, float[]? next = null) => new()
    {
        Source = "test",
        Layout = "test",
        ObservationSize = 1,
        ActionSize = 1,
        Observations = [0, 1, 2, 3, 4, 5],
        Actions = [0, 1, 2, -1, -2, 3],
        Rewards = [1, 1, 1, 2, 2, 2],
        Terminals = terminals,
        Timeouts = None,
        Ends = ends,
        NextObservations = next,
    };

    private static readonly bool[] None = new bool[6];

    [Fact]
    public void Time_limits_drop_their_row_and_terminals_keep_it()
    {
        var limited = TransitionDataset.From(Flat(None, [false, false, true, false, false, true]), Bounds);
        Assert.Equal([0f, 1, 3, 4], limited.Observations);
        Assert.Equal([1f, 2, 4, 5], limited.NextObservations);
        Assert.Equal([0f, 0.5f, -0.5f, -1], limited.Actions);
        Assert.Equal([3.0, 6], limited.EpisodeReturns);

        var ended = TransitionDataset.From(Flat([false, false, true, false, false, false], [false, false, true, false, false, true]), Bounds);
        Assert.Equal([0f, 1, 2, 3, 4], ended.Observations);
        Assert.Equal([0f, 0, 1, 0, 0], ended.Terminals);
        Assert.Contains(ended.Notes, n => n.StartsWith("1 rows", StringComparison.Ordinal));
    }

    [Fact]
    public void Given_successors_are_used_also_when_rows_are_shuffled()
    {
        var data = TransitionDataset.From(Flat(None, None, [9, 8, 7, 6, 5, 4]), Bounds);
        Assert.Equal(6, data.Count);
        Assert.Equal([9f, 8, 7, 6, 5, 4], data.NextObservations);
    }

    [Fact]
    public void Actions_beyond_the_bounds_are_clipped_and_counted()
    {
        var data = TransitionDataset.From(Flat(None, None, new float[6]), Bounds);
        Assert.Equal(1, data.Actions[5]);
        Assert.Contains(data.Notes, n => n.Contains("1 rows have actions outside", StringComparison.Ordinal));
        var guessed = TransitionDataset.From(Flat(None, None, new float[6]), null);
        Assert.Equal(3, ((ActionBounds)guessed.ActionSpace).High[0]);
        Assert.Contains(guessed.Notes, n => n.Contains("not stated", StringComparison.Ordinal));
    }

    [Fact]
    public void A_trajectory_is_its_transitions_and_what_was_seen_last()
    {
        // Two trajectories of three rows: the first ends with a terminal, of which no successor is known; the second is cut off, so its last row is what was seen last.
        var table = TransitionDataset.From(Flat([false, false, true, false, false, false], [false, false, true, false, false, true]), Bounds).Table;
        Assert.Equal([0f, 1, 2, 2, 3, 4, 5], (float[])table["observations"]);
        Assert.Equal([0, 1, 2, 4, 5], table.Transitions);
        Assert.Equal([3, 3, 3, 3, 6, 6, 6], table.Ends);
        Assert.Equal([2f, 1], [((float[])table["rewards"])[6], ((float[])table["actions"])[6]]); // of the row that was cut off, its own (clipped)
        // Stated successors that are the next rows cost one row a trajectory; others two a transition.
        Assert.Equal(7, TransitionDataset.From(Flat(None, None, [1, 2, 3, 4, 5, 6]), Bounds).Table.Rows);
        Assert.Equal(12, TransitionDataset.From(Flat(None, None, [9, 8, 7, 6, 9, 4]), Bounds).Table.Rows);
        Assert.Equal([0..3, 3..6], Flat([false, false, true, false, false, false], [false, false, true, false, false, true]).Episodes());
    }

    [Fact]
    public void Bad_rows_are_named()
    {
        void Fails(Dataset flat, string expected) => Assert.Contains(expected, Assert.Throws<DatasetException>(() => TransitionDataset.From(flat, Bounds)).Message, StringComparison.Ordinal);
        var sound = Flat(None, None);
        Fails(sound with { Observations = [0, 1, float.NaN, 3, 4, 5] }, "observations, row 2, column 0 is NaN");
        Fails(sound with { Rewards = [0, 1, 2, 3, 4, float.PositiveInfinity] }, "rewards, row 5");
        Fails(sound with { Actions = [1, 2] }, "actions has 2 numbers, expected 6");
        Fails(sound with { NextObservations = [1] }, "next_observations has 1 numbers");
        Fails(sound with { Rewards = [], Observations = [], Actions = [], Terminals = [], Ends = [] }, "no rows");
        Fails(Flat(None, [true, true, true, true, true, true]), "no transition");
        Assert.Contains("2 components", Assert.Throws<DatasetException>(() => TransitionDataset.From(sound with { ActionSize = 2, Actions = new float[12] }, Bounds)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_that_are_no_dataset_are_refused_in_one_line()
    {
        string text = Path.GetTempFileName();
        try
        {
            File.WriteAllText(text, "not a dataset");
            foreach (string source in new[] { text, "nowhere.h5", "builtin:nothing", Path.GetTempPath() })
            {
                string message = Assert.Throws<DatasetException>(() => TransitionDataset.From(Dataset.Load(source), Bounds)).Message;
                Assert.Contains(source, message, StringComparison.Ordinal);
                Assert.DoesNotContain('\n', message);
            }
        }
        finally { File.Delete(text); }
    }

    [DataTheory]
    [InlineData("d3rlpy-classic/pendulum_v1.1.0.h5", 99000, 3, 1, 500, -180.48)]
    [InlineData("d3rlpy-classic/pendulum_random_v1.1.0.h5", 99000, 3, 1, 500, -1223.6)]
    [InlineData("generated-d4rl-like/hopper_mixed.hdf5", 50000, 11, 3, 181, 903.7)]
    [InlineData("generated-d4rl-like/halfcheetah_mixed.hdf5", 50000, 17, 6, 50, 1611.8)]
    [InlineData("hand_dapg-door/door-human_d4rl-layout.hdf5", 6704, 39, 28, 25, 794.1)]
    public void Real_files_have_their_known_sizes_and_returns(string file, int rows, int observations, int actions, int episodes, double mean)
    {
        var data = TransitionDataset.From(Dataset.Load(SharedData.Path("data/" + file)), null);
        Assert.Equal((rows, observations, actions, episodes), (data.Count, data.ObservationSize, data.ActionSize, data.EpisodeReturns.Length));
        Assert.Equal(mean, data.EpisodeReturns.Average(), 0.1);
    }

    [DataFact]
    public void Discrete_actions_are_indices()
    {
        var data = TransitionDataset.From(Dataset.Load(SharedData.Path("data/d3rlpy-classic/cartpole_v1.1.0.h5")), null);
        Assert.Equal(new DiscreteActions(2), data.ActionSpace);
        Assert.All(data.Actions, a => Assert.True(a is 0 or 1));
        Assert.Equal(63.1, data.EpisodeReturns.Average(), 0.1);
    }
}
