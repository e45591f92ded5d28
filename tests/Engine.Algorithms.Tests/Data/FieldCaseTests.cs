using Engine.Algorithms.Data;

namespace Engine.Algorithms.Tests;

/// <summary>Files as users of other tools have them (shared/cases): what is read, what is said, and that a converted file trains on the same transitions.</summary>
public sealed class FieldCaseTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-cases").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    private static string Case(string name) => SharedData.Path("cases/field/" + name);

    private static DatasetOptions Columns(string columns) => new() { Columns = DatasetOptions.ParseColumns(columns.Split(' ', StringSplitOptions.RemoveEmptyEntries)) };

    [DataTheory]
    [InlineData("01_jaxrl.npz", "", "npz", 15, 15, 3, 1, "the task ended where masks are 0")]
    [InlineData("03_ogbench_compact.npz", "", "OGBench", 15, 15, 3, 0, "3 rows where valids are 0 are the last states")]
    [InlineData("04_ogbench_singletask.npz", "", "npz", 15, 15, 3, 1, "terminals mark the ends of trajectories: masks say by 0 where the task ended")]
    [InlineData("05_dreamer.npz", "", "Dreamer", 18, 16, 3, 1, "actions and rewards are taken to follow the observation")]
    [InlineData("07_episode_starts_rows.npz", "", "npz", 18, 15, 3, 0, "nothing says that the task ended")]
    [InlineData("08_bool_actions.npz", "", "npz", 18, 18, 3, 3, "actions are booleans: read as 2 discrete actions")]
    [InlineData("08_bool_actions.hdf5", "", "D4RL", 18, 18, 3, 3, "actions are booleans: read as 2 discrete actions")]
    [InlineData("09_datetime.npz", "", "npz", 18, 18, 3, 3, "stamp: dates (<M8[s]), not read: skipped")]
    [InlineData("09_complex.npz", "", "npz", 18, 18, 3, 3, "spectrum: complex numbers (<c8), not read: skipped")]
    [InlineData("09_readme.npz", "", "npz", 18, 18, 3, 3, "README.txt: is no array (.npy): skipped")]
    [InlineData("10_lzf_images.hdf5", "", "D4RL", 18, 18, 3, 3, "")]
    [InlineData("10_external_link.hdf5", "", "D4RL", 18, 18, 3, 3, ": skipped")]
    [InlineData("11_lzf.hdf5", "", "D4RL", 18, 18, 3, 3, "")]
    [InlineData("11_growable_latest.hdf5", "", "D4RL", 18, 18, 3, 3, "")]
    [InlineData("11_nested.hdf5", "", "D4RL", 18, 18, 3, 3, "the columns are those of the group dataset")]
    [InlineData("11_nested.hdf5", "observations=dataset/observations", "D4RL", 18, 18, 3, 3, "")]
    [InlineData("11_robomimic.hdf5", "", "robomimic", 12, 12, 2, 2, "object (10), robot0_eef_pos (3)")]
    [InlineData("12_timestamps.npz", "", "npz", 18, 18, 3, 3, "observation 0: 32 bits do not tell its values apart: 17 rows")]
    [InlineData("13_savetxt_no_header.csv", "observations=0,1 actions=2 rewards=3 terminals=4", "CSV", 18, 18, 3, 3, "no header line: the columns are 0 to 4")]
    [InlineData("13_named_columns.csv", "observations=x,v actions=torque", "CSV", 18, 18, 3, 3, "")]
    [InlineData("13_list_cells.csv", "", "CSV", 18, 18, 3, 3, "")]
    [InlineData("13_text_episode_ids.csv", "", "CSV", 18, 15, 3, 0, "nothing says that the task ended")]
    [InlineData("14_discrete_start1", "", "Minari", 12, 12, 2, 2, "")]
    [InlineData("14_old_attributes", "", "Minari", 12, 12, 2, 2, "")]
    [InlineData("14_empty_episode", "", "Minari", 9, 9, 2, 2, "1 episode has no step and was skipped: episode_1")]
    [InlineData("15_a.npz", "", "npz", 40, 36, 4, 0, "action bounds are not stated")]
    [InlineData("16_T_plus_1.npz", "", "npz", 5, 5, 1, 0, "one trajectory: obs_state has one row more than actions")]
    [InlineData("norm.npz", "", "npz", 200, 190, 10, 0, "")]
    public void Is_read_inspected_converted_and_trained_on(string name, string columns, string layout, int rows, int transitions, int trajectories, int terminals, string note)
    {
        var inspection = DatasetInspection.Of(Case(name), null, Columns(columns));
        var data = inspection.Data;
        Assert.Equal((layout, rows, transitions, trajectories, terminals), (data.Layout, data.Count, inspection.View!.Count, data.Ends.Count(e => e), inspection.Terminals));
        Assert.Equal(trajectories, inspection.Lengths.Length);
        if (note.Length > 0) Assert.Contains(inspection.Notes, n => n.Contains(note, StringComparison.Ordinal));
        Assert.DoesNotContain(inspection.Problems, p => p.Contains("in every row", StringComparison.Ordinal));
        Assert.NotEmpty(inspection.Keys);
        foreach (string extension in new[] { "hdf5", "npz" })
        {
            string target = Path.Combine(_folder, "converted." + extension);
            DatasetWriter.Write(data, target);
            Assert.Equal(inspection.View.Fingerprint, TransitionDataset.From(Dataset.Load(target), inspection.View.ActionSpace).Fingerprint);
        }
    }

    [DataFact]
    public void What_cannot_be_read_is_listed_with_the_reason()
    {
        Assert.Contains(DatasetInspection.Of(Case("10_external_link.hdf5"), null, new DatasetOptions()).Keys, k => k.Type.Contains("not read: ", StringComparison.Ordinal) && k.Type.Contains("link", StringComparison.Ordinal));
        Assert.Contains("\"name\":\"stamp\",\"shape\":\"\",\"type\":\"not read: dates", DatasetInspection.Of(Case("09_datetime.npz"), null, new DatasetOptions()).ToJson().ToJsonString(), StringComparison.Ordinal);
        var infinite = DatasetInspection.Of(Case("13_inf.csv"), null, new DatasetOptions());
        Assert.Null(infinite.View);
        Assert.Contains("observations that are not finite: 1 rows (4)", infinite.Problems);
        // A component that nothing but rounding makes constant is not said to be.
        Assert.DoesNotContain(DatasetInspection.Of(Case("12_timestamps.npz"), null, new DatasetOptions()).Problems, p => p.Contains("observation 0", StringComparison.Ordinal));
    }

    [DataFact]
    public void Ends_are_where_the_files_say()
    {
        var jax = Dataset.Load(Case("01_jaxrl.npz"));
        Assert.Equal([4, 9, 14], Enumerable.Range(0, 15).Where(i => jax.Ends[i]));
        Assert.Equal([7], Enumerable.Range(0, 15).Where(i => jax.Terminals[i]));
        Assert.Equal(3, jax.Episodes().Count());
        var compact = Dataset.Load(Case("03_ogbench_compact.npz"));
        Assert.Equal([4, 9, 14], Enumerable.Range(0, 15).Where(i => compact.Ends[i]));
        Assert.Equal(compact.Observations[2..10], compact.NextObservations![..8]);
        Assert.Equal([7], Enumerable.Range(0, 15).Where(i => Dataset.Load(Case("04_ogbench_singletask.npz")).Terminals[i]));
        var dreamer = Dataset.Load(Case("05_dreamer.npz"));
        Assert.Equal([5, 11, 17], Enumerable.Range(0, 18).Where(i => dreamer.Ends[i]));
        Assert.Equal([11], Enumerable.Range(0, 18).Where(i => dreamer.Terminals[i]));
        Assert.Equal([5, 11, 17], Enumerable.Range(0, 18).Where(i => Dataset.Load(Case("07_episode_starts_rows.npz")).Ends[i]));
    }

    [DataFact]
    public void Action_spaces_of_Minari()
    {
        var start = Dataset.Load(Case("14_discrete_start1"));
        Assert.Equal(new DiscreteActions(4), start.ActionSpace);
        Assert.InRange(start.Actions.Min(), 0, 3);
        Assert.InRange(start.Actions.Max(), 0, 3);
        Assert.Equal(ActionBounds.Unit(2), Dataset.Load(Case("14_old_attributes")).ActionSpace);
        string message = Assert.Throws<DatasetException>(() => Dataset.Load(Case("14_multidiscrete"))).Message;
        Assert.EndsWith("the action space is MultiDiscrete: expected Box or Discrete", message, StringComparison.Ordinal);
    }

    [DataFact]
    public void Columns_that_are_not_named_are_asked_for()
    {
        Assert.Contains("found 0, 1, 2, 3, 4; say which columns they are, by number: --column observations=0,1", Assert.Throws<DatasetException>(() => Dataset.Load(Case("13_savetxt_no_header.csv"))).Message, StringComparison.Ordinal);
        Assert.Contains("--column observations=NAME", Assert.Throws<DatasetException>(() => Dataset.Load(Case("13_named_columns.csv"))).Message, StringComparison.Ordinal);
    }

    [DataFact]
    public void Observations_of_robomimic_are_chosen()
    {
        var data = Dataset.Load(Case("11_robomimic.hdf5"), new DatasetOptions { Observations = "robot0_eef_pos" });
        Assert.Equal(3, data.ObservationSize);
        Assert.Equal(10, Dataset.Load(Case("11_robomimic.hdf5"), new DatasetOptions { Without = "robot0_eef_pos" }).ObservationSize);
        var swapped = Dataset.Load(Case("11_robomimic.hdf5"), new DatasetOptions { Observations = "robot0_eef_pos,object" });
        Assert.Equal(data.Observations[..3], swapped.Observations[..3]);
        Assert.Equal(13, swapped.ObservationSize);
        Assert.Contains("no observation objekt; near it: object", Assert.Throws<DatasetException>(() => Dataset.Load(Case("11_robomimic.hdf5"), new DatasetOptions { Observations = "objekt" })).Message, StringComparison.Ordinal);
    }
}
