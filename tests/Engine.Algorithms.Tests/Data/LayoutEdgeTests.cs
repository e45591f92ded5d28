using System.Diagnostics;
using System.Globalization;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Interop.Hdf5;
using Engine.Interop.Numpy;

namespace Engine.Algorithms.Tests;

/// <summary>Files that are unusual but sound, and damaged ones that only one layout can have.</summary>
public sealed class LayoutEdgeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-edges").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    private string In(string name) => Path.Combine(_folder, name);

    private string Csv(string text)
    {
        File.WriteAllText(In("data.csv"), text);
        return In("data.csv");
    }

    private string Npz(params NpyArray[] arrays)
    {
        NpzFile.Write(In("data.npz"), arrays);
        return In("data.npz");
    }

    private static string Refused(string source)
    {
        string message = Assert.Throws<DatasetException>(() => TransitionDataset.From(Dataset.Load(source), null)).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    [Theory]
    [InlineData("obs_0\tobs_1\taction\treward\n1\t2\t0.5\t3\n4\t5\t-0.5\t6\n")]
    [InlineData("obs_0;obs_1;action;reward\r\n1;2;0.5;3\r\n4;5;-0.5;6\r\n")]
    [InlineData(",obs_0,obs_1,action,reward\n0,1,2,0.5,3\n1,4,5,-0.5,6\n")] // a data frame's index has no name
    [InlineData("index,obs_0,obs_1,action,reward\n0,1,2,0.5,3\n1,4,5,-0.5,6\n")]
    public void Tables_of_other_programs(string text)
    {
        var data = Dataset.Load(Csv(text));
        Assert.Equal("CSV", data.Layout);
        Assert.Equal([1f, 2, 4, 5], data.Observations);
        Assert.Equal([0.5f, -0.5f], data.Actions);
        Assert.Equal([3f, 6], data.Rewards);
        Assert.Equal([false, true], data.Ends); // an index that counts all rows starts no trajectories
    }

    [Fact]
    public void Whole_numbers_with_a_negative_one_are_no_indices()
    {
        var torque = Dataset.Load(Csv("obs,action,reward\n1,-1,0\n2,1,0\n3,1,0\n"));
        Assert.Null(torque.ActionSpace);
        Assert.Equal([-1f, 1, 1], torque.Actions);
        Assert.Equal(new DiscreteActions(2), Dataset.Load(Csv("obs,action,reward\n1,0,0\n2,1,0\n")).ActionSpace);
    }

    [Fact]
    public void Episode_numbers_keep_all_their_digits()
    {
        // As 32-bit floats the two numbers would be one episode.
        float[] o = [1, 2, 3, 4];
        string path = Npz(NpyArray.From("obs", [4, 1], o), NpyArray.From("action", [4, 1], new float[4]), NpyArray.From("reward", [4], o), NpyArray.From("episode", [4], new[] { 20240101001L, 20240101001, 20240101002, 20240101002 }));
        Assert.Equal([false, true, false, true], Dataset.Load(path).Ends);
        Assert.Equal([false, true, true], Dataset.Load(Csv("episode,obs,action,reward\n20240101001,1,0.5,1\n20240101001,2,0.5,1\n20240101002,2,0.5,1\n")).Ends);
        // Beyond 64-bit floats too: as text in a table, and refused as numbers of an array.
        Assert.Equal([false, true, true], Dataset.Load(Csv("episode,obs,action,reward\n9007199254740993,1,0.5,1\n9007199254740993,2,0.5,1\n9007199254740992,2,0.5,1\n")).Ends);
        path = Npz(NpyArray.From("obs", [2, 1], [o[0], o[1]]), NpyArray.From("action", [2, 1], new float[2]), NpyArray.From("episode", [2], new[] { 9007199254740992L, 9007199254740993 }));
        Assert.Contains("episode, row 0 is 9007199254740992", Refused(path), StringComparison.Ordinal);
    }

    [Fact]
    public void A_wide_header_takes_no_quadratic_time()
    {
        string header = string.Join(',', Enumerable.Range(0, 100_000).Select(i => string.Create(CultureInfo.InvariantCulture, $"c{i}")));
        var clock = Stopwatch.StartNew();
        Assert.Contains("no key observations", Refused(Csv(header + "\n")), StringComparison.Ordinal);
        Assert.InRange(clock.ElapsedMilliseconds, 0, 5_000); // some 5,000,000,000 comparisons before, now 100,000
    }

    [Fact]
    public void Arrays_without_axes_are_refused()
    {
        var (scalar, column) = (NpyArray.From("obs", [], [1f]), NpyArray.From("acts", [2, 1], new float[2]));
        Assert.Contains("obs has shape []", Refused(Npz(scalar, column, NpyArray.From("rews", [2], new float[2]), NpyArray.From("indices", [0], Array.Empty<long>()))), StringComparison.Ordinal);
        var states = NpyArray.From("obs", [3, 1], new float[3]);
        Assert.Contains("acts has shape []", Refused(Npz(states, NpyArray.From("acts", [], [1f]), NpyArray.From("indices", [0], Array.Empty<long>()))), StringComparison.Ordinal);
        Assert.Contains("indices has shape []", Refused(Npz(states, column, NpyArray.From("indices", [], [1L]))), StringComparison.Ordinal);
    }

    [Fact]
    public void Names_in_a_file_forge_no_lines()
    {
        string message = Refused(Npz(NpyArray.From("a\nengine: all is well\u2028", [1], new float[1])));
        Assert.Contains("found a?engine: all is well?", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_quantity_has_one_column()
    {
        Assert.Contains("observations has the column a already", Assert.Throws<SettingsException>(() => DatasetOptions.ParseColumns(["observations=a", "observations=b"])).Message, StringComparison.Ordinal);
        Assert.Throws<SettingsException>(() => DatasetOptions.ParseColumns(["=b"]));
        Assert.Equal("a=b", DatasetOptions.ParseColumns(["observations=a=b"])["observations"]);
    }

    [DataFact]
    public void Terminals_that_d3rlpy_wrote_twice_are_counted() =>
        Assert.Contains(Dataset.Load(SharedData.Path("data/d3rlpy-classic/cartpole_v1.1.0.h5")).Notes, n => n.Contains("terminals before the end of their episode are ignored", StringComparison.Ordinal));

    // ---- Minari ----

    /// <summary>Episodes of two steps, the observations of each a tuple of eleven numbers.</summary>
    private string Minari(string metadata, params (bool Terminal, bool Cut)[] ends)
    {
        var columns = new List<Hdf5Column>();
        for (int e = 0; e < ends.Length; e++)
        {
            for (int k = 0; k < 11; k++) columns.Add(Hdf5Column.From($"episode_{e}/observations/_index_{k}", [3], [100f * e + k, 100 * e + k + 20, 100 * e + k + 40]));
            columns.Add(Hdf5Column.From($"episode_{e}/actions", [2, 1], [0.5f, -0.5f]));
            columns.Add(Hdf5Column.From($"episode_{e}/rewards", [2], [1.0, 2 + e]));
            columns.Add(Hdf5Column.From($"episode_{e}/terminations", [2], [false, ends[e].Terminal]));
            columns.Add(Hdf5Column.From($"episode_{e}/truncations", [2], [false, ends[e].Cut]));
        }
        string data = Directory.CreateDirectory(In("minari/data")).FullName;
        Hdf5Writer.Write(Path.Combine(data, "main_data.hdf5"), columns);
        File.WriteAllText(Path.Combine(data, "metadata.json"), metadata);
        return In("minari");
    }

    [Fact]
    public void Elements_of_a_tuple_come_by_number_and_the_end_of_a_recording_is_no_time_limit()
    {
        var data = Dataset.Load(Minari("{}", (true, false), (false, true), (false, false), (true, false)));
        Assert.Equal(Enumerable.Range(0, 11).Select(k => (float)k), data.Observations[..11]);
        Assert.Contains("_index_9 (1), _index_10 (1)", Assert.Single(data.Notes), StringComparison.Ordinal);
        Assert.Equal([false, true, false, false, false, false, false, true], data.Terminals);
        Assert.Equal([false, false, false, true, false, false, false, false], data.Timeouts);
        Assert.Equal([false, true, false, true, false, true, false, true], data.Ends);

        // D4RL has no mark for such an end: a timeout keeps the rows apart.
        DatasetWriter.Write(data with { NextObservations = null }, In("written.hdf5"));
        var written = Dataset.Load(In("written.hdf5"));
        Assert.Equal(data.Ends, written.Ends);
        Assert.Equal(data.Terminals, written.Terminals);
        Assert.Equal([false, false, false, true, false, true, false, false], written.Timeouts);
        Assert.Equal(TransitionDataset.From(data with { NextObservations = null }, null).Fingerprint, TransitionDataset.From(written, null).Fingerprint);
    }

    [Fact]
    public void Metadata_gives_the_space_and_the_reference_returns()
    {
        string source = Minari("""{"dataset_id": "a/b-v0", "ref_min_score": 1, "ref_max_score": 5.0, "action_space": "{\"type\": \"Box\", \"low\": [-2], \"high\": [2]}"}""", (true, false), (false, true));
        var data = Dataset.Load(source);
        Assert.Equal((new ActionBounds([-2], [2]), (1.0, 5.0), "a/b-v0"), (data.ActionSpace, data.References, data.Environment));
        Assert.Equal(62.5, DatasetInspection.Of(source, null, new DatasetOptions()).Score!.Value, 1e-12); // returns 3 and 4
        // Python writes what has no bound as a word that JSON does not know.
        Assert.Null(Dataset.Load(Minari("""{"action_space": "{\"type\": \"Box\", \"low\": [-Infinity], \"high\": [Infinity]}"}""", (true, false))).ActionSpace);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("""{"dataset_id": "a", "dataset_id": "b"}""")]
    [InlineData("""{"action_space": "{\"type\": \"Discrete\", \"n\": -4}"}""")]
    [InlineData("""{"action_space": "{\"type\": \"Discrete\", \"n\": 1e99}"}""")]
    [InlineData("""{"action_space": "{\"type\": \"Box\", \"low\": [0], \"low\": [1], \"high\": [2]}"}""")]
    [InlineData("""{"action_space": "{\"type\": \"Box\", \"low\": [[0]], \"high\": [2]}"}""")]
    [InlineData("""{"action_space": "{\"type\": \"Box\", \"low\": 0, \"high\": [2]}"}""")]
    [InlineData("""{"action_space": "[1]"}""")]
    [InlineData("""{"action_space": "null"}""")]
    public void Damaged_metadata_are_refused(string metadata) => Assert.Contains("metadata.json", Refused(Minari(metadata, (true, false))), StringComparison.Ordinal);

    [Fact]
    public void Missing_parts_of_an_episode_are_named()
    {
        foreach (string missing in new[] { "observations", "actions", "rewards", "terminations", "truncations" })
        {
            var all = new[] { Hdf5Column.From("episode_0/observations", [3, 1], new float[3]), Hdf5Column.From("episode_0/actions", [2, 1], new float[2]), Hdf5Column.From("episode_0/rewards", [2], new float[2]),
                Hdf5Column.From("episode_0/terminations", [2], new bool[2]), Hdf5Column.From("episode_0/truncations", [2], new bool[2]) };
            Hdf5Writer.Write(In("m.hdf5"), all.Where(c => !c.Name.EndsWith(missing, StringComparison.Ordinal)));
            string message = Refused(In("m.hdf5"));
            Assert.Contains(missing, message, StringComparison.Ordinal);
            Assert.Contains("episode_0", message, StringComparison.Ordinal);
        }
    }

    // ---- what is written, and what is looked at ----

    [Theory]
    [InlineData(".hdf5")]
    [InlineData(".npz")]
    public void Action_spaces_survive_a_file(string extension)
    {
        var cart = Dataset.Load("builtin:cartpole,rows=50") with { ActionSpace = new DiscreteActions(5) }; // of which the rows show two
        DatasetWriter.Write(cart, In("a" + extension));
        Assert.Equal(new DiscreteActions(5), Dataset.Load(In("a" + extension)).ActionSpace);
        var pendulum = Dataset.Load("builtin:pendulum,rows=50");
        DatasetWriter.Write(pendulum, In("b" + extension));
        Assert.Equal(new ActionBounds([-2], [2]), Dataset.Load(In("b" + extension)).ActionSpace);
        DatasetWriter.Write(cart with { ActionSpace = new DiscreteActions(2), Actions = Array.ConvertAll(cart.Actions, _ => 1f) }, In("c" + extension));
        Assert.Equal(new DiscreteActions(2), Dataset.Load(In("c" + extension)).ActionSpace);
    }

    [Fact]
    public void A_space_that_the_rows_contradict_is_refused()
    {
        Hdf5Writer.Write(In("a.hdf5"), [Hdf5Column.From("observations", [2, 1], new float[2]), Hdf5Column.From("actions", [2], [0, 7]), Hdf5Column.From("rewards", [2], new float[2]), Hdf5Column.From("metadata/action_count", [], [3])]);
        Assert.Contains("metadata/action_count is 3, but there are 8 discrete actions", Refused(In("a.hdf5")), StringComparison.Ordinal);
    }

    [Fact]
    public void An_inspection_says_what_cannot_be_trained_on()
    {
        var inspection = DatasetInspection.Of(Csv("obs,action,reward\n1,0.5,1\nnan,0.5,1\n3,1e999,nan\n4,0.25,1\n"), null, new DatasetOptions());
        Assert.Null(inspection.View);
        Assert.Contains("cannot be trained on", inspection.Problems[0], StringComparison.Ordinal);
        Assert.Contains(inspection.Problems, p => p == "observations that are not finite: 1 rows (1)");
        Assert.Contains(inspection.Problems, p => p == "actions that are not finite: 1 rows (2)");
        Assert.Contains(inspection.Problems, p => p == "rewards that are not finite: 1 rows (2)");
        Assert.Contains("\"return_mean\":null", inspection.ToJson().ToJsonString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pendulum-random-v0")] // is no pen-*
    [InlineData("doorkey-8x8-v0")]
    [InlineData("anthill-v0")]
    public void A_task_is_not_mistaken_for_another_that_its_name_begins_like(string id) => Assert.Null(NormalizedScores.Find(id));
}
