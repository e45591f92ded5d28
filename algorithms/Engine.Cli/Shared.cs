using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Engine.Algorithms;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Studies;
using Engine.Algorithms.Training;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Kernels.Cuda;
using Engine.Kernels.Ilgpu;

namespace Engine.Cli;

/// <summary>Options and output that several commands share.</summary>
internal static class Shared
{
    public static Option<string> Device() => new("--device") { Description = "where to run: cpu, cuda, cuda:1 for the second GPU, or ilgpu, ilgpu:opencl:N, ilgpu:cuda:N, ilgpu:cpu (see engine devices)", DefaultValueFactory = _ => "cpu" };

    public static Option<string> Precision(string description)
    {
        var option = new Option<string>("--precision") { HelpName = string.Join("|", Precisions.Names), Description = description, DefaultValueFactory = _ => Kernels.Precision.Float32.Name() };
        option.CompletionSources.Add(_ => Precisions.Names.Select(n => new System.CommandLine.Completions.CompletionItem(n)));
        return option;
    }

    public static Option<int> Threads() => new("--threads") { Description = "threads that compute on the cpu", DefaultValueFactory = _ => Environment.ProcessorCount };

    public static Option<bool> Json() => new("--json") { Description = "JSON on standard output and nothing else: one object a line" };

    public static Option<string?> Environments(string description)
    {
        var option = new Option<string?>("--env") { HelpName = "name", Description = $"{description}: {string.Join(", ", EnvironmentCatalogue.All.Select(e => e.Id))}" };
        option.CompletionSources.Add(_ => EnvironmentCatalogue.All.Select(e => new System.CommandLine.Completions.CompletionItem(e.Id)));
        return option;
    }

    public static Option<string[]> Columns() => new("--column")
    {
        Description = "QUANTITY=COLUMN where a file names a column otherwise, such as observations=state; several columns with commas, columns below groups with slashes; repeatable",
        DefaultValueFactory = _ => [],
    };

    /// <summary>The device of that name, with that precision.</summary>
    /// <exception cref="SettingsException">There is no such name, or no so many threads.</exception>
    /// <exception cref="DeviceException">It cannot be used on this machine or has no such precision; the message says why.</exception>
    public static Device Open(string name, int threads, Precision precision = Kernels.Precision.Float32)
    {
        var device = Open(name, threads);
        try
        {
            device.Precision = precision;
            return device;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>The precision of that name.</summary>
    /// <exception cref="SettingsException">There is none.</exception>
    public static Precision ParsePrecision(string name)
    {
        try { return RunConfig.ParsePrecision(name); }
        catch (SettingsException e) { throw new SettingsException("--" + e.Message); }
    }

    private static Device Open(string name, int threads)
    {
        if (threads is < 1 or > 1024) throw new SettingsException($"--threads {threads}: expected 1 to 1024");
        if (name == "cpu")
        {
            int processors = Environment.ProcessorCount;
            if (threads > processors) Console.Error.WriteLine($"note: {threads} threads on {processors} processor{(processors == 1 ? "" : "s")} wait for one another; --threads {processors} is faster");
            return new CpuDevice(threads);
        }
        if (name == "cuda") return new CudaDevice();
        if (name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int ordinal)) return new CudaDevice(ordinal);
        if (name == "ilgpu" || name.StartsWith("ilgpu:", StringComparison.Ordinal)) return new IlgpuDevice(name);
        throw new SettingsException($"--device {name}: expected cpu, cuda, or cuda:N for the GPU of number N, or ilgpu or one of its accelerators (see engine devices)");
    }

    /// <summary>Runs something that Ctrl+C and a polite kill ask to stop.</summary>
    public static void WithSignals(Action<CancellationToken> work)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        work(stop.Token);
    }

    private static readonly JsonSerializerOptions Compact = new() { NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>One line of JSON.</summary>
    public static void Write(JsonObject json) => Console.WriteLine(json.ToJsonString(Compact));

    /// <summary>A number for JSON, which has no NaN.</summary>
    public static JsonNode? Number(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    /// <summary>The mean return, its standard error if there is one (of a single episode there is not), and of how many episodes.</summary>
    public static string Return(EvaluationResult result, string? format = null, string error = "", bool episodes = true) =>
        result.Mean.ToString(format ??= Statistics.Format(result.Mean)) + (result.Returns.Length > 1 ? $" +- {result.StandardError.ToString(format)}{error}" : "")
        + (episodes ? $" over {result.Returns.Length} episode{(result.Returns.Length == 1 ? "" : "s")}" : "");

    /// <summary>What the environment measures besides the return.</summary>
    public static string Measures(EvaluationResult result) => string.Concat(result.Measures.Select(m => $", {m.Key} {m.Value.Average():F3}"));

    /// <summary>What else was evaluated: returns and measures of further environments, and of the metrics of held-out rows the losses.</summary>
    public static string Further(TrainingReport report) =>
        string.Concat(report.Further.Select(f => $", {f.Key} return {Return(f.Value, episodes: false)}{Measures(f.Value)}")) + string.Concat(report.HeldOut.Where(h => report.Losses.Contains(h.Key)).Select(h => $", held-out {h.Key} {h.Value.ToString("G4")}"));

    public static JsonObject ToJson(EvaluationResult result) => new(result.Measures.Select(m => KeyValuePair.Create(m.Key, Number(m.Value.Average()))))
    {
        ["return_mean"] = Number(result.Mean),
        ["return_standard_error"] = Number(result.StandardError),
        ["return_min"] = Number(result.Returns.Min()),
        ["return_max"] = Number(result.Returns.Max()),
        ["return_normalized"] = result.NormalizedMean,
        ["episodes"] = result.Returns.Length,
        ["mean_length"] = result.MeanLength,
    };
}
