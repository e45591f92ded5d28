using System.Text.Json.Nodes;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>A policy in a folder acts to the bit as the one it was written from, without the code of its algorithm; a damaged folder is refused in one line.</summary>
public sealed class PolicyFolderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("engine-policy").FullName;

    private string Folder => Path.Combine(_root, "policy");

    private string In(string name) => Path.Combine(Folder, name);

    public void Dispose() => Directory.Delete(_root, true);

    private static readonly string[] Builtin = AlgorithmCatalogue.All.Where(a => a.Paper != "none").Select(a => a.Name).ToArray();

    public static TheoryData<string, string> Algorithms
    {
        get
        {
            var all = new TheoryData<string, string> { { "flow-bc", "chunk=4,execute=2" }, { "gcbc", "normalize_observations=true" } };
            foreach (string name in Builtin) all.Add(name, "");
            return all;
        }
    }

    [Theory, MemberData(nameof(Algorithms))]
    public void Policies_act_as_those_they_were_written_from(string algorithm, string settings)
    {
        var (config, data) = SampleRuns.Of(algorithm, settings: settings.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(s => (s.Split('=')[0], s.Split('=')[1])).ToArray());
        using var device = new CpuDevice();
        using (var trainer = new Trainer(config, data, device, Path.Combine(_root, "run"))) trainer.Run(null, CancellationToken.None);
        using var expected = Policy.Load(Path.Combine(_root, "run"));
        expected.Save(Folder);
        using var loaded = Policy.Load(Folder);
        Assert.Equal((expected.Spaces, expected.Step, expected.Algorithm, expected.Environment), (loaded.Spaces, loaded.Step, loaded.Algorithm, loaded.Environment));
        foreach (var mode in Enum.GetValues<Mode>())
            foreach (int rows in new[] { 1, 2, 7, 64 }) Same(expected, loaded, mode, rows);
        loaded.Save(Path.Combine(_root, "again"));
        foreach (string name in new[] { "policy.json", "policy.graph", "policy.safetensors" }) Assert.Equal(File.ReadAllBytes(In(name)), File.ReadAllBytes(Path.Combine(_root, "again", name)));
    }

    private static void Same(Policy expected, Policy loaded, Mode mode, int rows)
    {
        var (a, b) = (expected.Start(rows, mode, seed: 5), loaded.Start(rows, mode, seed: 5));
        using var session = loaded.CreateSession(rows, mode: mode, seed: 5);
        var (size, goalSize, actionSize) = (expected.Spaces.Observation.Size, expected.Spaces.Goal?.Size ?? 0, expected.Spaces.Action.Size);
        for (int step = 0; step < 5; step++)
        {
            var (seen, goals) = (Probe.Numbers(rows * size, $"seen[{step}]"), Probe.Numbers(rows * goalSize, $"goals[{step}]"));
            var (x, y, z) = (new float[rows * actionSize], new float[rows * actionSize], new float[rows * actionSize]);
            a.Act(seen, goals, x);
            b.Act(seen, goals, y);
            session.Act(seen, z, goals);
            Assert.Equal(x, y);
            if (expected.Spaces.Action is ActionBounds bounds)
                for (int i = 0; i < x.Length; i++) x[i] = bounds.FromUnit(i % actionSize, x[i]);
            Assert.Equal(x, z);
        }
    }

    /// <summary>No critics, targets, moments or counters; and of two modes with one graph one is kept.</summary>
    [Theory, InlineData("edac", new[] { "actor." }, 2), InlineData("dqn", new[] { "critics.", "normalizer." }, 1), InlineData("flow-bc", new[] { "flow." }, 1)]
    public void Only_the_variables_of_the_policy_are_in_it(string algorithm, string[] prefixes, int modes)
    {
        var (config, data) = SampleRuns.Of(algorithm);
        using var device = new CpuDevice();
        using var trainer = new Trainer(config, data, device, null);
        var variables = trainer.Policy.Save(Folder);
        var tensors = SafetensorsFile.Read(In("policy.safetensors")).Tensors;
        Assert.Equal(variables.Select(v => v.Name), tensors.Select(t => t.Name).Order(StringComparer.Ordinal));
        Assert.All(tensors, t => Assert.Contains(prefixes, p => t.Name.StartsWith(p, StringComparison.Ordinal) && !t.Name.Contains("adam", StringComparison.Ordinal)));
        Assert.True(tensors.Count < trainer.State.Variables.Count / 2);
        Assert.Equal(modes, JsonNode.Parse(File.ReadAllText(In("policy.json")))!["modes"]!.AsObject().Count);
        Assert.Equal(["policy"], Directory.GetFileSystemEntries(_root).Select(Path.GetFileName));
    }

    /// <summary>An algorithm that no catalogue knows: a linear policy, which can be made to compute something else for each number of rows.</summary>
    private sealed class Linear(AlgorithmContext context, Func<int, double> factor) : Algorithm(context, new Plain())
    {
        public sealed record Plain : AlgorithmSettings;

        private readonly Variable _weight = context.State.Add("weight", [3, 2], Probe.Numbers(6, "weight"));

        protected override Tensor Act(Acting a) => (a.Observations.MatMul(a.Graph.Read(_weight)) * factor(a.Rows)).Tanh() * 0.5 + a.Normal("action", 2) * (a.Mode == Mode.Sample ? 0.1 : 0);
    }

    private static readonly Spaces ThreeToTwo = new(3, new ActionBounds([-2, 0], [2, 3]));

    private Policy Write(Func<int, double> factor, IReadOnlyCollection<int>? rows = null)
    {
        var state = new State(new CpuDevice());
        var policy = new Policy(new Linear(new AlgorithmContext(state, 0, ThreeToTwo), factor), state);
        policy.Save(Folder, rows);
        return policy;
    }

    [Fact]
    public void The_algorithm_need_not_be_known()
    {
        using var written = Write(_ => 1);
        var json = JsonNode.Parse(File.ReadAllText(In("policy.json")))!;
        json["algorithm"] = "of-somebody-else";
        File.WriteAllText(In("policy.json"), json.ToJsonString());
        using var loaded = Policy.Load(Folder);
        Assert.Equal("of-somebody-else", loaded.Algorithm);
        foreach (var mode in Enum.GetValues<Mode>())
            foreach (int rows in new[] { 1, 3, 64, 257 }) Same(written, loaded, mode, rows);
    }

    [Fact]
    public void A_policy_that_differs_with_the_rows_names_them()
    {
        Assert.Contains("--rows 1,64", Assert.Throws<SettingsException>(() => Write(rows => 1.0 / rows)).Message, StringComparison.Ordinal);
        Assert.Contains("5 rows", Assert.Throws<SettingsException>(() => Write(rows => rows * rows)).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_root));
        Assert.Throws<SettingsException>(() => Write(_ => 1, [0]));
        using var written = Write(rows => 1.0 / rows, [64, 1]);
        using var loaded = Policy.Load(Folder);
        foreach (var mode in Enum.GetValues<Mode>())
            foreach (int rows in new[] { 1, 64 }) Same(written, loaded, mode, rows);
        Assert.Contains("for 1, 64 rows, not for 2", Assert.Throws<SettingsException>(() => loaded.Start(2)).Message, StringComparison.Ordinal);
        using var session = loaded.CreateSession(64);
        session.Act(new float[3], new float[2]);
        Assert.Throws<SettingsException>(() => session.Act(new float[6], new float[4]));
    }

    [Fact]
    public void Only_a_policy_is_replaced()
    {
        using (Write(_ => 1)) { }
        using (Write(_ => 2)) { }
        Assert.Equal(["policy"], Directory.GetFileSystemEntries(_root).Select(Path.GetFileName));
        File.Delete(In("policy.json"));
        Assert.Contains("no policy folder", Assert.Throws<SettingsException>(() => Write(_ => 1)).Message, StringComparison.Ordinal);
        Directory.Delete(Folder, true);
        File.WriteAllText(Folder, "");
        Assert.Contains("is a file", Assert.Throws<SettingsException>(() => Write(_ => 1)).Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string, string> Damages() => new()
    {
        { "policy.json", "", "no such file" }, { "policy.graph", "", "no such file" }, { "policy.safetensors", "", "no such file" },
        { "policy.graph", "cut", "not a policy's graphs" }, { "policy.json", "cut", "not a policy's description" }, { "policy.safetensors", "cut", "header" },
        { "policy.json", "\"format\": 1=\"format\": 2", "format 2, expected 1" },
        { "policy.json", "\"executed\": 1=\"executed\": 2", "2 of 1" },
        { "policy.json", "\"observation\": 3=\"observation\": 4", "expected 4 numbers" },
        { "policy.json", "\"width\": 2=\"width\": 3", "expected 3 numbers" },
        { "policy.json", "\"name\": \"action\"=\"name\": \"other\"", "noise.other is missing" },
        { "policy.json", "\"any\"=\"all\"", "rows are all" },
        { "policy.json", "\"any\"=[1, 4]", "not a policy's graph for 4 rows" },
        { "policy.json", "\"action_low\"=\"low\"", "not a policy's description" },
        { "policy.graph", "\"weight\"=\"wait\"", "no tensor 'wait'" },
        { "policy.graph", "\"3\":=\"4\":", "not a policy's graph for 3 rows" },
    };

    [Theory, MemberData(nameof(Damages))]
    public void Damaged_folders_are_refused_in_one_line(string file, string damage, string expected)
    {
        using (Write(_ => 1)) { }
        string path = In(file);
        if (damage == "") File.Delete(path);
        else if (damage == "cut") File.WriteAllBytes(path, File.ReadAllBytes(path)[..40]);
        else
        {
            string text = File.ReadAllText(path), damaged = text.Replace(damage.Split('=')[0], damage.Split('=')[1], StringComparison.Ordinal);
            Assert.NotEqual(text, damaged);
            File.WriteAllText(path, damaged);
        }
        var error = Assert.Throws<InteropFormatException>(() => Policy.Load(Folder));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Weights_of_another_shape_are_refused()
    {
        using (Write(_ => 1)) { }
        SafetensorsFile.Write(In("policy.safetensors"), [SafetensorsTensor.From("weight", [2, 3], new float[6])]);
        Assert.Contains("weight is F32[2,3]", Assert.Throws<InteropFormatException>(() => Policy.Load(Folder)).Message, StringComparison.Ordinal);
    }

    /// <summary>Whatever the damage, the folder is refused or loads.</summary>
    [Theory, InlineData("policy.json"), InlineData("policy.graph")]
    public void Damage_of_any_kind_is_survived(string file)
    {
        using (Write(_ => 1)) { }
        byte[] sound = File.ReadAllBytes(In(file));
        Fuzz.Run(200, In(file), seed => new Mutator(seed).Mutate(sound), _ => Policy.Load(Folder).Dispose(), e => e is InteropFormatException);
    }
}
