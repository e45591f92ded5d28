using Engine.Interop.Hdf5;

namespace Engine.Interop.Tests.Hdf5;

/// <summary>Real datasets, in the layouts that people have.</summary>
public class Hdf5DataTests
{
    [DataTheory]
    [InlineData("pendulum_v1.1.0.h5", 99500, 3, 500, -180.5)]
    [InlineData("pendulum_random_v1.1.0.h5", 99500, 3, 500, -1223.6)]
    [InlineData("cartpole_v1.1.0.h5", 99866, 4, 1582, 63.1)]
    [InlineData("cartpole_random_v1.1.0.h5", 99999, 4, -1, 22.2)]
    public void D3rlpy_version_1_has_its_episodes_and_returns(string name, int rows, int size, int episodes, double mean)
    {
        using var file = Open("d3rlpy-classic/" + name);
        var observations = file.Root.Dataset("observations");
        Assert.Equal([rows, size], observations.Shape);
        Assert.Equal(Hdf5ElementType.Float32, observations.ElementType);
        Assert.Equal(rows * size, observations.ReadSingles().Length);
        var discrete = file.Root.Dataset("discrete_action").ReadInt32s();
        Assert.Equal([name.StartsWith("cartpole", StringComparison.Ordinal) ? 1 : 0], discrete);
        var actions = file.Root.Dataset("actions");
        Assert.Equal(discrete[0] == 1 ? Hdf5ElementType.Int32 : Hdf5ElementType.Float32, actions.ElementType);
        Assert.Equal(rows, actions.ReadSingles().Length);
        Assert.Equal(["1.0"], file.Root.Dataset("version").ReadStrings());
        var ends = file.Root.Dataset("episode_terminals").ReadInt32s();
        var found = ends.Sum();
        if (episodes >= 0)
            Assert.Equal(episodes, found);
        // Rows after the last end belong to no whole episode.
        var last = Array.LastIndexOf(ends, 1);
        Assert.Equal(mean, file.Root.Dataset("rewards").ReadDoubles().Take(last + 1).Sum() / found, 0.1);
    }

    [DataFact]
    public void The_same_rows_are_equal_in_three_layouts()
    {
        using var flat = Open("layout-samples/pendulum_d4rl.hdf5");
        using var columns = Open("layout-samples/pendulum_d3rlpy_v2.1.h5");
        using var minari = Open("layout-samples/minari-pendulum/data/main_data.hdf5");
        using var original = Open("d3rlpy-classic/pendulum_v1.1.0.h5");
        const int episodes = 50, length = 199;
        var observations = flat.Root.Dataset("observations").ReadSingles();
        var actions = flat.Root.Dataset("actions").ReadSingles();
        var rewards = flat.Root.Dataset("rewards").ReadSingles();
        Assert.Equal(original.Root.Dataset("observations").ReadSingles()[..observations.Length], observations);
        Assert.Equal(original.Root.Dataset("actions").ReadSingles()[..actions.Length], actions);
        Assert.Equal(episodes * length, rewards.Length);
        Assert.Equal(episodes, minari.Root.Names.Count);
        for (var episode = 0; episode < episodes; episode++)
        {
            var o = Part(observations, episode * length * 3, length * 3);
            var a = Part(actions, episode * length, length);
            var r = Part(rewards, episode * length, length);
            Assert.Equal(o, columns.Root.Dataset($"observations_{episode}").ReadSingles());
            Assert.Equal(a, columns.Root.Dataset($"actions_{episode}").ReadSingles());
            Assert.Equal(r, columns.Root.Dataset($"rewards_{episode}").ReadSingles());
            // Minari keeps the observation after the last action: here the last row's, whose own action is then dropped.
            var group = minari.Root.Group($"episode_{episode}");
            Assert.Equal(o, group.Dataset("observations").ReadSingles());
            Assert.Equal(a[..^1], group.Dataset("actions").ReadSingles());
            Assert.Equal(r[..^1], group.Dataset("rewards").ReadSingles());
            Assert.Equal([length - 1L], group.Attributes["total_steps"].ReadInt64s());
        }
    }

    [DataTheory]
    [InlineData("hopper_mixed.hdf5", 50000, 11, 3)]
    [InlineData("halfcheetah_mixed.hdf5", 50000, 17, 6)]
    public void D4rl_files_have_their_columns(string name, int rows, int observationSize, int actionSize)
    {
        using var file = Open("generated-d4rl-like/" + name);
        var root = file.Root;
        Assert.Equal([rows, observationSize], root.Dataset("observations").Shape);
        Assert.Equal([rows, actionSize], root.Dataset("actions").Shape);
        Assert.Equal(Hdf5ElementType.Boolean, root.Dataset("terminals").ElementType);
        var observations = root.Dataset("observations").ReadSingles();
        var next = root.Dataset("next_observations").ReadSingles();
        var terminals = root.Dataset("terminals").ReadInt32s();
        var timeouts = root.Dataset("timeouts").ReadInt32s();
        // Within an episode the next observation is the next row: that ties the chunks of two datasets together.
        for (var row = 0; row < rows - 1; row++)
            if (terminals[row] == 0 && timeouts[row] == 0)
                Assert.True(observations.AsSpan((row + 1) * observationSize, observationSize).SequenceEqual(next.AsSpan(row * observationSize, observationSize)), $"row {row}");
        // An episode's return is stored with each of its rows.
        var rewards = root.Dataset("rewards").ReadDoubles();
        var returns = root.Dataset("infos/behaviour_return").ReadDoubles();
        var sum = 0.0;
        var checkedEpisodes = 0;
        for (var row = 0; row < rows; row++)
        {
            sum += rewards[row];
            if (terminals[row] == 0 && timeouts[row] == 0)
                continue;
            Assert.Equal(returns[row], sum, 0.01 + 1e-4 * Math.Abs(sum));
            sum = 0;
            checkedEpisodes++;
        }
        Assert.InRange(checkedEpisodes, 10, rows);
        Assert.Single(root.Dataset("metadata/algorithm").ReadStrings());
        Assert.NotEmpty(root.Dataset("metadata/algorithm").ReadStrings()[0]);
    }

    [DataFact]
    public void Minari_door_has_its_episodes()
    {
        using var file = Open("minari-door-human-v2/data/main_data.hdf5");
        Assert.Equal(25, file.Root.Names.Count);
        Assert.Equal("episode_10", file.Root.Names[2]);
        long steps = 0;
        double sum = 0;
        foreach (var name in file.Root.Names)
        {
            var episode = file.Root.Group(name);
            var rewards = episode.Dataset("rewards").ReadDoubles();
            Assert.Equal([rewards.Length + 1L, 39], episode.Dataset("observations").Shape);
            Assert.Equal([rewards.Length, 28L], episode.Dataset("actions").Shape);
            Assert.Equal(rewards.Length + 1, episode.Dataset("infos/success").ReadInt32s().Length);
            Assert.Equal([rewards.Max()], episode.Attributes["rewards_max"].ReadDoubles());
            Assert.Equal(3, episode.Attributes["options/initial_state_dict/door_body_pos"].ReadSingles().Length);
            steps += rewards.Length;
            sum += rewards.Sum();
        }
        Assert.Equal(6729, steps);
        Assert.Equal(802.8, sum / 25, 0.1);
    }

    [DataFact]
    public void The_door_demonstrations_have_the_same_actions_in_both_files()
    {
        using var flat = Open("hand_dapg-door/door-human_d4rl-layout.hdf5");
        Assert.Equal([6729, 28], flat.Root.Dataset("actions").Shape);
        Assert.Equal(25, flat.Root.Dataset("timeouts").ReadInt32s().Sum() + flat.Root.Dataset("terminals").ReadInt32s().Sum());
        using var minari = Open("minari-door-human-v2/data/main_data.hdf5");
        var episodes = Enumerable.Range(0, 25).SelectMany(i => minari.Root.Dataset($"episode_{i}/actions").ReadSingles());
        Assert.Equal(episodes.ToArray(), flat.Root.Dataset("actions").ReadSingles());
    }

    [DataFact]
    public void Every_dataset_and_attribute_of_every_file_is_read()
    {
        var files = Directory.EnumerateFiles(SharedData.Path("data"), "*", SearchOption.AllDirectories)
            .Where(path => Path.GetExtension(path) is ".h5" or ".hdf5").ToList();
        Assert.NotEmpty(files);
        foreach (var path in files)
        {
            using var file = Hdf5File.Open(path);
            Assert.InRange(Hdf5Walk.ReadAll(file.Root, expectErrors: false), 1, int.MaxValue);
        }
    }

    private static float[] Part(float[] all, int start, int count) => all.AsSpan(start, count).ToArray();

    private static Hdf5File Open(string relative) => Hdf5File.Open(SharedData.Path("data/" + relative));
}
