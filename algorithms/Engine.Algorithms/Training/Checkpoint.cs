using System.Globalization;
using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>All variables but the dataset's columns, as safetensors. Written atomically; the newest two and the one with the best evaluation are kept.</summary>
public static class Checkpoint
{
    private const int Kept = 2;

    /// <summary>The folder of a run's checkpoints.</summary>
    public static string Folder(string run) => Path.Combine(run, "checkpoints");

    /// <summary>The checkpoints of a run, newest first, with their steps.</summary>
    public static IReadOnlyList<(int Step, string Path)> List(string run)
    {
        if (!Directory.Exists(Folder(run))) return [];
        return Directory.EnumerateFiles(Folder(run), "step-*.safetensors")
            .Select(path => (Step: int.TryParse(Path.GetFileNameWithoutExtension(path)["step-".Length..], out int step) ? step : -1, path))
            .Where(c => c.Step >= 0).OrderByDescending(c => c.Step).ToArray();
    }

    /// <summary>Writes one and removes the ones before the last two.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="step">Steps done.</param>
    /// <param name="state">The variables.</param>
    /// <param name="host">Writes what the host must know to go on, besides variables.</param>
    public static void Write(string run, int step, State state, Action<BinaryWriter>? host = null)
    {
        Directory.CreateDirectory(Folder(run));
        var bytes = new MemoryStream();
        using (var writer = new BinaryWriter(bytes, System.Text.Encoding.UTF8, leaveOpen: true)) host?.Invoke(writer);
        Write(Path.Combine(Folder(run), $"step-{step:D9}.safetensors"), state, new Dictionary<string, string> { ["step"] = Text(step) }, bytes.ToArray());
        foreach (var (_, path) in List(run).Skip(Kept)) File.Delete(path);
    }

    /// <summary>Writes best.safetensors if the evaluation is better than the one it holds.</summary>
    public static void WriteIfBest(string run, int step, State state, EvaluationSummary evaluation)
    {
        Directory.CreateDirectory(Folder(run));
        if (Best(run) is { } best && best.Return >= evaluation.Mean && best.Step <= step) return;
        Write(BestPath(run), state, new Dictionary<string, string> { ["step"] = Text(step), ["return"] = evaluation.Mean.ToString("R", CultureInfo.InvariantCulture) });
    }

    /// <summary>The checkpoint with the best evaluation; null if there was none.</summary>
    public static (int Step, double Return, string Path)? Best(string run)
    {
        if (!File.Exists(BestPath(run))) return null;
        var metadata = SafetensorsFile.Read(BestPath(run)).Metadata;
        return metadata.TryGetValue("step", out string? step) && int.TryParse(step, out int at) && metadata.TryGetValue("return", out string? value) && double.TryParse(value, CultureInfo.InvariantCulture, out double mean)
            ? (at, mean, BestPath(run)) : throw new InteropFormatException(BestPath(run), -1, "its metadata lack step and return");
    }

    /// <summary>The checkpoint of that name: last, best, or a step.</summary>
    /// <exception cref="InteropFormatException">There is none.</exception>
    public static (int Step, string Path) Find(string run, string name)
    {
        var all = List(run);
        if (name == "best") return Best(run) is { } best ? (best.Step, best.Path) : throw new InteropFormatException(Folder(run), -1, "no best checkpoint: nothing was evaluated while training");
        if (name == "last") return all.Count > 0 ? all[0] : throw new InteropFormatException(Folder(run), -1, "no checkpoint yet");
        return int.TryParse(name, out int step) && all.FirstOrDefault(c => c.Step == step) is { Path: not null } found ? found
            : throw new InteropFormatException(Folder(run), -1, $"no checkpoint {name}; there are last, best, {string.Join(", ", all.Select(c => c.Step))}");
    }

    private static string BestPath(string run) => Path.Combine(Folder(run), "best.safetensors");

    private static string Text(int step) => step.ToString(CultureInfo.InvariantCulture);

    private static void Write(string path, State state, Dictionary<string, string> metadata, byte[]? host = null)
    {
        var tensors = state.Variables.Where(v => v.Kind != VariableKind.Data).Select(v => TensorOf(state, v));
        SafetensorsFile.Write(path, (host is { Length: > 0 } ? tensors.Append(new SafetensorsTensor(HostName, SafetensorsType.U8, [host.Length], host)) : tensors).ToArray(), metadata);
    }

    private const string HostName = "host.state";

    /// <summary>Reads what the host wrote.</summary>
    /// <exception cref="InteropFormatException">Less or more than is read.</exception>
    internal static void ReadHost(string path, Action<BinaryReader> read)
    {
        // A host with nothing to say writes nothing.
        var stream = new MemoryStream(SafetensorsFile.Read(path).TryGet(HostName, out var tensor) ? tensor.Data.ToArray() : []);
        using var reader = new BinaryReader(stream);
        try { read(reader); }
        catch (EndOfStreamException) { throw new InteropFormatException(path, -1, $"{HostName} ends too early: the run is of another version"); }
        if (stream.Position != stream.Length) throw new InteropFormatException(path, -1, $"{HostName} has {stream.Length - stream.Position} bytes more than are read: the run is of another version");
    }

    /// <summary>Puts a checkpoint's values into a state that has the same variables.</summary>
    /// <exception cref="InteropFormatException">A variable is missing or has another shape.</exception>
    public static void Read(string path, State state)
    {
        var file = SafetensorsFile.Read(path);
        foreach (var variable in state.Variables)
            if (variable.Kind != VariableKind.Data) state.WriteBytes(variable.Name, Values(file, variable));
    }

    /// <summary>Adds variables with a file's values to a state. Nothing is allocated for what the file does not have.</summary>
    /// <exception cref="InteropFormatException">A variable is missing or has another shape.</exception>
    internal static void Add(string path, IEnumerable<Variable> variables, State state)
    {
        var file = SafetensorsFile.Read(path);
        foreach (var variable in variables)
        {
            var values = Values(file, variable);
            state.AddZeros(variable.Name, variable.Type, variable.Kind);
            state.WriteBytes(variable.Name, values);
        }
    }

    private static ReadOnlySpan<byte> Values(SafetensorsFile file, Variable variable)
    {
        var tensor = file[variable.Name];
        if (tensor.Type != TypeOf(variable.Type.DType) || !tensor.Shape.SequenceEqual(variable.Type.Shape.Select(s => (long)s)))
            throw new InteropFormatException(file.Path, -1, $"{variable.Name} is {tensor.Type}[{string.Join(",", tensor.Shape)}], expected {variable.Type}");
        return tensor.Data.Span;
    }

    /// <summary>A variable and its values, for a file.</summary>
    internal static SafetensorsTensor TensorOf(State state, Variable variable) => new(variable.Name, TypeOf(variable.Type.DType), variable.Type.Shape.Select(s => (long)s).ToArray(), state.ReadBytes(variable.Name));

    private static SafetensorsType TypeOf(DType type) => type switch
    {
        DType.F32 => SafetensorsType.F32,
        DType.I32 => SafetensorsType.I32,
        DType.Bool => SafetensorsType.Bool,
        DType.BF16 => SafetensorsType.BF16,
        DType.U8 => SafetensorsType.U8,
        _ => SafetensorsType.F64,
    };
}
