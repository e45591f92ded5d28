using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>
/// A policy as files, to act with where the code of its algorithm is not: policy.json (what it sees and does, draws, memory), policy.graph (by mode and number of rows, as <see cref="GraphFile"/> writes them) and policy.safetensors (the
/// variables that the graphs read). A policy for any number of rows has graphs for 1, 2 and 3, from which <see cref="GraphRows"/> makes the others; writing compares some of those with what the algorithm traces.
/// </summary>
internal static class PolicyFolder
{
    private const int Format = 1;
    private const string About = "policy.json", Graphs = "policy.graph", Weights = "policy.safetensors";

    private static readonly int[] Stored = [1, 2, 3], Compared = [5, 64, 1000];

    /// <summary>Whether a folder is one, or what is left of one. A run folder is not, whatever else is put into it.</summary>
    public static bool Is(string folder) => !File.Exists(Path.Combine(folder, "config.json")) && new[] { About, Graphs, Weights }.Any(name => File.Exists(Path.Combine(folder, name)));

    /// <inheritdoc cref="Policy.Save"/>
    public static IReadOnlyList<Variable> Write(string folder, PolicySource source, State state, IReadOnlyCollection<int>? rows)
    {
        if (rows is { Count: 0 } || rows?.Min() < 1) throw new SettingsException("rows: expected numbers of at least 1");
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)), temporary = target + ".incomplete", replaced = target + ".replaced";
        bool exists = Directory.Exists(target);
        if (File.Exists(target)) throw new SettingsException($"{folder}: is a file; a policy is written as a folder");
        if (exists && !File.Exists(Path.Combine(target, About)) && Directory.EnumerateFileSystemEntries(target).Any()) throw new SettingsException($"{folder}: exists already and is no policy folder; choose another name");

        int[] stored = rows?.Distinct().Order().ToArray() ?? Stored;
        var modes = Enum.GetValues<Mode>().Select(mode => (Mode: mode, Graphs: stored.Select(r => source.Graphs(r, mode)).ToArray())).ToList();
        if (rows is null) modes.ForEach(m => CheckAnyRows(source, m.Mode, m.Graphs));
        // A policy that acts alike in both modes has one graph.
        if (modes[0].Graphs.Zip(modes[1].Graphs).All(g => GraphFile.Write(g.First.Graph).AsSpan().SequenceEqual(GraphFile.Write(g.Second.Graph)))) modes.RemoveAt(1);
        var variables = modes.SelectMany(m => m.Graphs).SelectMany(g => g.Graph.Initial.Keys).Distinct().Order(StringComparer.Ordinal).Select(name => state[name]).ToArray();

        if (Directory.Exists(temporary)) Directory.Delete(temporary, true);
        Directory.CreateDirectory(temporary);
        try
        {
            SafetensorsFile.Write(Path.Combine(temporary, Weights), variables.Select(v => Checkpoint.TensorOf(state, v)).ToArray());
            AtomicFile.Write(Path.Combine(temporary, Graphs), stream =>
            {
                using var writer = new Utf8JsonWriter(stream);
                writer.WriteStartObject();
                foreach (var (mode, graphs) in modes)
                {
                    writer.WriteStartObject(NameOf(mode));
                    foreach (var graph in graphs)
                    {
                        writer.WritePropertyName(Text(graph.Rows));
                        writer.WriteRawValue(GraphFile.Write(graph.Graph));
                    }
                    writer.WriteEndObject();
                }
                writer.WriteEndObject();
            });
            AtomicFile.Write(Path.Combine(temporary, About), s => s.Write(Encoding.UTF8.GetBytes(Describe(source, rows is null ? null : stored, modes.Select(m => (m.Mode, m.Graphs[0]))))));
            // Of a write that was stopped here, one of the three names has a whole folder.
            if (Directory.Exists(replaced)) Directory.Delete(replaced, true);
            if (exists) Directory.Move(target, replaced);
            Directory.Move(temporary, target);
            if (exists) Directory.Delete(replaced, true);
        }
        catch
        {
            try
            {
                if (exists && !Directory.Exists(target)) Directory.Move(replaced, target);
                Directory.Delete(temporary, true);
            }
            catch (IOException) { /* the first error is the one to report */ }
            throw;
        }
        return variables;
    }

    private static void CheckAnyRows(PolicySource source, Mode mode, PolicyGraph[] stored)
    {
        JsonElement Parsed(int at) => JsonDocument.Parse(GraphFile.Write(stored[at].Graph)).RootElement;
        var (two, three) = (Parsed(1), Parsed(2));
        foreach (int rows in Compared)
        {
            bool same;
            try { same = GraphRows.For(two, three, rows).AsSpan().SequenceEqual(GraphFile.Write(source.Graphs(rows, mode).Graph)); }
            catch (FormatException) { same = false; }
            if (!same) throw new SettingsException($"the policy's graph for {rows} rows does not follow from those for 2 and 3: name the numbers of rows that it is for (--rows 1,64)");
        }
    }

    private static string Describe(PolicySource source, int[]? rows, IEnumerable<(Mode Mode, PolicyGraph Graph)> modes)
    {
        var json = new JsonObject { ["format"] = Format, ["engine"] = typeof(PolicyFolder).Assembly.GetName().Version?.ToString(3), ["algorithm"] = source.Algorithm, ["step"] = source.Step, ["environment"] = source.Environment };
        SpacesJson.Write(source.Spaces, json);
        (json["planned"], json["executed"]) = (source.Horizon.Planned, source.Horizon.Executed);
        json["rows"] = rows is null ? "any" : new JsonArray(rows.Select(r => (JsonNode)r).ToArray());
        json["modes"] = new JsonObject(modes.Select(m => KeyValuePair.Create(NameOf(m.Mode), (JsonNode?)new JsonObject
        {
            ["draws"] = new JsonArray(m.Graph.Draws.Select(d => (JsonNode)new JsonObject { ["name"] = d.Name, ["normal"] = d.Normal, ["width"] = d.Width }).ToArray()),
            ["memories"] = new JsonArray(m.Graph.Memories.Select(r => (JsonNode)new JsonObject { ["name"] = r.Name, ["initial"] = r.Initial, ["width"] = r.Width }).ToArray()),
        })));
        return json.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";
    }

    private static string NameOf(Mode mode) => mode == Mode.Sample ? "sample" : "deterministic";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Reads policy.json and the graphs, each of which is checked; the weights are for the caller to read.</summary>
    /// <exception cref="InteropFormatException">A file is missing or damaged, or of a newer version; or another checkpoint is asked for than the one it has.</exception>
    public static (PolicySource Source, IReadOnlyList<Variable> Variables, string Weights) Read(string folder, string checkpoint)
    {
        string In(string name) => Path.Combine(folder, name) is var path && File.Exists(path) ? path : throw new InteropFormatException(path, -1, $"no such file; a policy folder has {About}, {Graphs} and {Weights}");
        var (about, graphs, weights) = (In(About), In(Graphs), In(Weights));
        return Refusing(about, "a policy's description", () =>
        {
            var json = JsonNode.Parse(File.ReadAllText(about))!.AsObject();
            if ((int)json["format"]! is var format && format != Format) throw new InteropFormatException(about, -1, $"format {format}, expected {Format}: the policy is of another version");
            var (planned, executed, step) = ((int)json["planned"]!, (int)json["executed"]!, (int)json["step"]!);
            if (planned < 1 || executed < 1 || executed > planned) throw new FormatException($"{executed} of {planned} planned actions are carried out");
            if (checkpoint != "last" && checkpoint != Text(step)) throw new InteropFormatException(folder, -1, $"no checkpoint {checkpoint}: a policy folder has one, here that of step {step}");
            var modes = json["modes"]!.AsObject().ToDictionary(m => m.Key, m => ReadMode(m.Value!));
            int[]? rows = json["rows"] is JsonArray list ? list.Select(r => (int)r!).ToArray() : (string)json["rows"]! == "any" ? null : throw new FormatException($"rows are {json["rows"]}");
            var source = new PolicySource(SpacesJson.Read(json), (planned, executed), null!) { Algorithm = (string?)json["algorithm"], Step = step, Environment = (string?)json["environment"] };
            if (!modes.ContainsKey(NameOf(Mode.Deterministic)) || rows is { Length: 0 }) throw new FormatException("it has no graphs");
            return Refusing(graphs, "a policy's graphs", () =>
            {
                var stored = JsonDocument.Parse(File.ReadAllBytes(graphs)).RootElement;
                PolicyGraph Graph(int count, Mode mode)
                {
                    if (rows is not null && !rows.Contains(count)) throw new SettingsException($"{folder}: the policy is for {string.Join(", ", rows)} rows, not for {count}");
                    // A mode without a graph of its own acts as the other.
                    string name = modes.ContainsKey(NameOf(mode)) ? NameOf(mode) : NameOf(Mode.Deterministic);
                    JsonElement For(int r) => stored.GetProperty(name).GetProperty(Text(r));
                    return Refusing(graphs, $"a policy's graph for {count} rows", () =>
                    {
                        byte[] text = rows is null && count > Stored[^1] ? GraphRows.For(For(2), For(3), count) : Encoding.UTF8.GetBytes(For(count).GetRawText());
                        return Checked(new PolicyGraph(GraphFile.Read(text), count, modes[name].Draws, modes[name].Memories), source);
                    });
                }
                var variables = new Dictionary<string, Variable>();
                foreach (int count in rows ?? Stored)
                    foreach (var mode in Enum.GetValues<Mode>())
                        foreach (var (name, tensor) in Graph(count, mode).Graph.Initial)
                            if (!variables.TryAdd(name, new Variable(name, tensor.Type, VariableKind.Parameter)) && variables[name].Type != tensor.Type) throw new FormatException($"variable {name} is {tensor.Type} here and {variables[name].Type} there");
                return (source with { Graphs = Graph }, (IReadOnlyList<Variable>)variables.Values.ToArray(), weights);
            });
        });
    }

    private static (PolicyDraw[] Draws, PolicyMemory[] Memories) ReadMode(JsonNode json)
    {
        T[] All<T>(string key, Func<JsonNode, string, int, T> make) => json[key]!.AsArray().Select(e => make(e!, (string)e!["name"]!, (int)e["width"]!)).ToArray();
        return (All("draws", (e, name, width) => new PolicyDraw(name, (bool)e["normal"]!, width)), All("memories", (e, name, width) => new PolicyMemory(name, (float)e["initial"]!, width)));
    }

    /// <summary>That a graph takes what the host feeds and gives what it reads, and changes no variable.</summary>
    private static PolicyGraph Checked(PolicyGraph policy, PolicySource source)
    {
        long Each(Space? space) => space?.Shape.Elements ?? 0;
        var inputs = new Dictionary<string, long> { ["observations"] = Each(source.Spaces.Observation) };
        var outputs = new Dictionary<string, long> { ["actions"] = (long)source.Horizon.Planned * source.Spaces.Action.Size };
        if (source.Spaces.Goal is not null) inputs["goals"] = Each(source.Spaces.Goal);
        foreach (var draw in policy.Draws) inputs.Add(PolicyDraw.Prefix + draw.Name, draw.Width);
        foreach (var memory in policy.Memories) inputs[PolicyMemory.Prefix + memory.Name] = outputs[PolicyMemory.Prefix + memory.Name] = memory.Width;
        Same("input", inputs, policy.Graph.Inputs);
        Same("output", outputs, policy.Graph.Outputs);
        if (policy.Graph.Assigned.Count > 0) throw new FormatException($"it changes the variable {policy.Graph.Assigned.Keys.First()}");
        return policy;

        void Same(string what, Dictionary<string, long> expected, IReadOnlyDictionary<string, Tensor> tensors)
        {
            foreach (string name in expected.Keys.Union(tensors.Keys))
                if (!expected.TryGetValue(name, out long width) || !tensors.TryGetValue(name, out var tensor)) throw new FormatException($"the {what} {name} is {(tensors.ContainsKey(name) ? "unknown" : "missing")}");
                else if (tensor.Type.DType != DType.F32 || tensor.Shape.Elements != width * policy.Rows) throw new FormatException($"the {what} {name} is {tensor.Type}, expected {width} numbers in each of {policy.Rows} rows");
        }
    }

    /// <summary>Turns what damaged text makes readers throw into one error that names the file.</summary>
    private static T Refusing<T>(string path, string what, Func<T> read)
    {
        try { return read(); }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException and not InteropFormatException or ArgumentException or OverflowException or KeyNotFoundException or IndexOutOfRangeException)
        {
            throw new InteropFormatException(path, -1, $"not {what}: {e.Message.Split('\n')[0]}");
        }
    }
}
