using Engine.Autodiff;
using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>All variables but the dataset's columns, as safetensors. Written atomically; the newest two are kept.</summary>
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
    public static void Write(string run, int step, State state)
    {
        Directory.CreateDirectory(Folder(run));
        var tensors = state.Variables.Where(v => v.Kind != VariableKind.Data).Select(v => new SafetensorsTensor(v.Name, TypeOf(v.Type.DType),
            v.Type.Shape.Span.ToArray().Select(s => (long)s).ToArray(), state.ReadBytes(v.Name))).ToArray();
        SafetensorsFile.Write(Path.Combine(Folder(run), $"step-{step:D9}.safetensors"), tensors, new Dictionary<string, string> { ["step"] = step.ToString() });
        foreach (var (_, path) in List(run).Skip(Kept)) File.Delete(path);
    }

    /// <summary>Puts a checkpoint's values into a state that has the same variables.</summary>
    /// <exception cref="InteropFormatException">A variable is missing or has another shape.</exception>
    public static void Read(string path, State state, Func<Variable, bool>? which = null)
    {
        var file = SafetensorsFile.Read(path);
        foreach (var variable in state.Variables)
        {
            if (variable.Kind == VariableKind.Data || which?.Invoke(variable) == false) continue;
            var tensor = file[variable.Name];
            if (tensor.Type != TypeOf(variable.Type.DType) || !tensor.Shape.SequenceEqual(variable.Type.Shape.Select(s => (long)s)))
                throw new InteropFormatException(path, -1, $"{variable.Name} is {tensor.Type}[{string.Join(",", tensor.Shape)}], expected {variable.Type}");
            state.WriteBytes(variable.Name, tensor.Data.Span);
        }
    }

    private static SafetensorsType TypeOf(DType type) => type switch
    {
        DType.F32 => SafetensorsType.F32,
        DType.I32 => SafetensorsType.I32,
        DType.Bool => SafetensorsType.Bool,
        DType.BF16 => SafetensorsType.BF16,
        _ => SafetensorsType.F64,
    };
}
