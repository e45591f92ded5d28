using Engine.Algorithms.Data;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Tests;

public sealed class LayoutTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-layouts").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [DataTheory]
    [InlineData("pendulum_d3rlpy_v2.1.h5", "d3rlpy v2", true)]
    [InlineData("pendulum_ogbench.npz", "OGBench", false)]
    [InlineData("pendulum_neorl.npz", "NeoRL", true)]
    [InlineData("minari-pendulum", "Minari", true)]
    [InlineData("minari-pendulum/data/main_data.hdf5", "Minari", true)]
    [InlineData("pendulum_csv.csv", "CSV", true)] // the first 20 episodes
    public void The_same_rows_in_other_layouts_are_the_same_transitions(string file, string layout, bool rewards)
    {
        var bounds = new ActionBounds([-2], [2]);
        var expected = TransitionDataset.From(Dataset.Load(SharedData.Path("data/layout-samples/pendulum_d4rl.hdf5")), bounds);
        var loaded = Dataset.Load(SharedData.Path("data/layout-samples/" + file));
        Assert.Equal(layout, loaded.Layout);
        var actual = TransitionDataset.From(loaded, bounds);
        int n = layout == "CSV" ? 20 * 198 : 50 * 198;
        Assert.Equal(n, actual.Count);
        Assert.Equal(expected.Observations[..(3 * n)], actual.Observations);
        Assert.Equal(expected.Actions[..n], actual.Actions);
        Assert.Equal(expected.NextObservations[..(3 * n)], actual.NextObservations);
        Assert.Equal(expected.Terminals[..n], actual.Terminals);
        Assert.Equal(rewards ? expected.Rewards[..n] : new float[n], actual.Rewards);
        Assert.Equal(n / 198, loaded.Ends.Count(e => e));
        Assert.All(loaded.Terminals, Assert.False);
    }

    [DataTheory]
    [InlineData("minari-door-human-v2", "Minari", 6729, 6729, 39, 28, 25, 802.8)]
    [InlineData("sb2-expert/expert_pendulum.npz", "Stable-Baselines", 20000, 19900, 3, 1, 100, -149.9)]
    [InlineData("sb2-expert/expert_cartpole.npz", "Stable-Baselines", 49527, 49427, 4, 1, 100, 495.3)]
    [InlineData("imitation-expert/pendulum_0_final.npz", "imitation", 11200, 11200, 3, 1, 56, -189.4)]
    [InlineData("imitation-expert/cartpole_0_final.npz", "imitation", 26964, 26964, 4, 1, 57, 473.1)]
    [InlineData("medipixel-demos/reacher_demo.npz", "npz", 5000, 5000, 11, 2, 99, -3.8)]
    [InlineData("coach-acrobot/acrobot_dataset.csv", "CSV", 9804, 9804, 6, 1, 30, -326.2)]
    [InlineData("generated-d4rl-like/maze2d-umaze-sparse.hdf5", "D4RL", 100000, 98657, 4, 2, 1343, 5.3)]
    public void Real_files_are_recognised(string file, string layout, int rows, int transitions, int observations, int actions, int episodes, double mean)
    {
        var data = Dataset.Load(SharedData.Path("data/" + file));
        var view = TransitionDataset.From(data, null);
        Assert.Equal((layout, rows, transitions, observations, actions, episodes), (data.Layout, data.Count, view.Count, data.ObservationSize, data.ActionSize, view.EpisodeReturns.Length));
        Assert.Equal(mean, view.EpisodeReturns.Average(), 0.1);
    }

    [DataFact]
    public void Quirks_of_real_files()
    {
        // Minari: bounds and name from the metadata, T + 1 observations, so no row is lost.
        var door = Dataset.Load(SharedData.Path("data/minari-door-human-v2"));
        Assert.Equal("D4RL/door/human-v2", door.Environment);
        Assert.Equal(ActionBounds.Unit(28), door.ActionSpace);
        Assert.Equal(28, door.ActionSize);
        // d3rlpy v1: terminals on the last two rows of most episodes; only one of them ends it.
        var cartpole = Dataset.Load(SharedData.Path("data/d3rlpy-classic/cartpole_v1.1.0.h5"));
        Assert.Equal(1448, cartpole.Terminals.Count(t => t));
        Assert.All(Enumerable.Range(0, cartpole.Count).Where(i => cartpole.Terminals[i]), i => Assert.True(cartpole.Ends[i]));
        // coach: the last row of an episode is blank, and the state of its end.
        var acrobot = Dataset.Load(SharedData.Path("data/coach-acrobot/acrobot_dataset.csv"));
        Assert.Contains(acrobot.Notes, n => n.StartsWith("30 rows at the end of an episode", StringComparison.Ordinal));
        Assert.Equal(new DiscreteActions(3), acrobot.ActionSpace);
        Assert.All(acrobot.Rewards, r => Assert.True(float.IsFinite(r)));
        // imitation: pickled objects are named and skipped.
        Assert.Contains(Dataset.Load(SharedData.Path("data/imitation-expert/pendulum_0_final.npz")).Notes, n => n.StartsWith("infos: pickled", StringComparison.Ordinal));
        // A real pendulum's log needs a mapping.
        string log = SharedData.Path("data/dfki-pendulum/control_method_sac-data_measured.csv");
        Assert.Contains("--column observations=NAME", Assert.Throws<DatasetException>(() => Dataset.Load(log)).Message, StringComparison.Ordinal);
        var mapped = Dataset.Load(log, new DatasetOptions { Columns = DatasetOptions.ParseColumns(["observations=position", "actions=torque"]) });
        Assert.Equal((8000, 1, 1), (mapped.Count, mapped.ObservationSize, mapped.ActionSize));
    }

    private string Csv(string text)
    {
        string path = Path.Combine(_folder, "data.csv");
        File.WriteAllText(path, text);
        return path;
    }

    [Fact]
    public void Tables_with_columns_for_components_episodes_and_flags()
    {
        var data = Dataset.Load(Csv("episode,obs_1,obs_0,action_0,action_1,reward,terminal\n7,2,1,0.5,-0.5,1,0\n7,4,3,0,0,2,true\n8,6,5,1,1,3,0\n8,8,7,1,1,4,0\n"));
        Assert.Equal((2, 2, 4), (data.ObservationSize, data.ActionSize, data.Count));
        Assert.Equal([1f, 2, 3, 4, 5, 6, 7, 8], data.Observations);
        Assert.Equal([false, true, false, false], data.Terminals);
        Assert.Equal([false, false, false, false], data.Timeouts); // the last row ends because the recording does
        Assert.Equal([false, true, false, true], data.Ends);
        Assert.Null(data.ActionSpace);
        Assert.Equal(new DiscreteActions(3), Dataset.Load(Csv("obs,action,reward\n1,0,0\n2,2,0\n3,1,0\n")).ActionSpace);
    }

    [Fact]
    public void Archives_in_the_way_of_NeoRL2_D4RL_and_without_timeouts()
    {
        string path = Path.Combine(_folder, "data.npz");
        void Write(params NpyArray[] arrays) => NpzFile.Write(path, arrays);
        float[] o = [1, 2, 3, 4], next = [2, 9, 4, 9];
        var (obs, nextObs, action, reward) = (NpyArray.From("obs", [4, 1], o), NpyArray.From("next_obs", [4, 1], next), NpyArray.From("action", [4, 1], new float[4]), NpyArray.From("reward", [4, 1], new[] { 1f, 2, 3, 4 }));
        Write(obs, nextObs, action, reward, NpyArray.From("done", [4, 1], new[] { false, true, false, false }), NpyArray.From("truncated", [4, 1], new[] { false, false, false, true }));
        var data = Dataset.Load(path);
        Assert.Equal("NeoRL2", data.Layout);
        Assert.Equal([false, true, false, false], data.Terminals);
        Assert.Equal([false, false, false, true], data.Timeouts);
        Assert.Equal(4, TransitionDataset.From(data, ActionBounds.Unit(1)).Count);

        Write(obs, action, reward);
        Assert.Equal(["nothing says that the task ended: no row is terminal", "no timeouts: trajectories are taken to end at terminals only (--max-steps N cuts them)"], Dataset.Load(path).Notes);
        Assert.Equal([false, true, false, true], Dataset.Load(path, new DatasetOptions { MaxEpisodeSteps = 2 }).Ends);
    }

    [Theory]
    [InlineData("obs,action,reward\n1,2\n", "line 2: 2 cells, expected 3")]
    [InlineData("obs,action,reward\n1,fast,2\n", "column action is \"fast\"")]
    [InlineData("obs,obs,reward\n", "line 1")]
    [InlineData("obs,reward\n1,2\n", "no key actions; found obs, reward")]
    [InlineData("obs,action,reward\n", "expected [rows, components]")]
    [InlineData("obs,action,reward\n1,1,1\n1,,\n1,1,1\n", "row 1 has no action and no reward but is not the last")]
    public void Damaged_tables_are_refused_with_the_place(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<DatasetException>(() => Dataset.Load(Csv(text))).Message, StringComparison.Ordinal);

    [Fact]
    public void Not_a_number_in_a_file_is_named_by_row()
    {
        var data = Dataset.Load(Csv("obs,action,reward\n1,0.5,1\nnan,0.5,1\n"));
        Assert.Contains("observations, row 1, column 0 is NaN", Assert.Throws<DatasetException>(() => TransitionDataset.From(data, null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_files_and_mappings_are_refused_in_one_line()
    {
        void Fails(string source, string expected, DatasetOptions? options = null)
        {
            string message = Assert.ThrowsAny<Exception>(() => Dataset.Load(source, options)).Message;
            Assert.Contains(expected, message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', message);
        }
        Fails(Path.Combine(_folder, "absent.h5"), "no such file");
        Fails(_folder, "a folder without data/main_data.hdf5");
        File.WriteAllBytes(Path.Combine(_folder, "empty.npz"), []);
        Fails(Path.Combine(_folder, "empty.npz"), "is empty");
        File.WriteAllText(Path.Combine(_folder, "data.parquet"), "PAR1PAR1");
        Fails(Path.Combine(_folder, "data.parquet"), "not a Parquet file: 8 bytes");
        File.WriteAllText(Path.Combine(_folder, "data.feather"), "ARROW1 and more");
        Fails(Path.Combine(_folder, "data.feather"), "not recognised (.feather)");
        File.WriteAllText(Path.Combine(_folder, "data.npz"), "PK nothing of the kind");
        Fails(Path.Combine(_folder, "data.npz"), "not a sound zip archive");
        Fails(Csv("obs,action\n1,2\n"), "column observation is unknown; near it: observations", new DatasetOptions { Columns = new Dictionary<string, string> { ["observation"] = "obs" } });
        Fails(Csv("obs,action\n1,2\n"), "no column acton for actions; near it: action", new DatasetOptions { Columns = new Dictionary<string, string> { ["actions"] = "acton" } });
        Fails("builtin:pendulun", "near it: pendulum");
        Fails("builtin:pendulum,rows=1", "expected rows=2");
        Fails("builtin:pendulum,size=3", "size is unknown");
    }
}
