using System.CommandLine;
using System.Runtime.InteropServices;
using Engine.Algorithms;
using Engine.Algorithms.Catalogue;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Parity;
using Engine.Algorithms.Training;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Spectre.Console;

namespace Engine.Cli;

/// <summary>The subcommands.</summary>
internal static class Commands
{
    private static Option<string> DeviceOption() => new("--device") { Description = "where to run: cpu", DefaultValueFactory = _ => "cpu" };

    private static Option<int> ThreadsOption() => new("--threads") { Description = "threads that compute", DefaultValueFactory = _ => Environment.ProcessorCount };

    private static CpuDevice OpenDevice(string name, int threads)
    {
        if (name != "cpu") throw new SettingsException($"--device {name}: not available in this build; expected cpu (see engine devices)");
        if (threads < 1 || threads > 1024) throw new SettingsException($"--threads {threads}: expected 1 to 1024");
        return new CpuDevice(threads);
    }

    /// <summary>engine train.</summary>
    public static Command Train()
    {
        var algorithm = new Argument<string?>("algorithm") { Description = "what to train: " + string.Join(", ", AlgorithmCatalogue.All.Select(a => a.Name)), Arity = ArgumentArity.ZeroOrOne };
        var dataset = new Option<string?>("--dataset") { Description = "a file (.h5, .hdf5: D4RL flat, d3rlpy v1) or builtin:pendulum" };
        var environment = new Option<string?>("--env") { Description = "environment to evaluate on: " + string.Join(", ", EnvironmentCatalogue.All.Select(e => e.Id)) };
        var steps = new Option<int?>("--steps") { Description = "updates (default 20000); with --resume: train up to this many in all" };
        var seed = new Option<ulong>("--seed") { Description = "of parameters, batches and draws" };
        var output = new Option<string?>("--out") { Description = "run folder (default runs/ALGORITHM-seedSEED)" };
        var resume = new Option<string?>("--resume") { Description = "continue the run in this folder exactly where its newest checkpoint stands" };
        var set = new Option<string[]>("--set") { Description = "a hyper-parameter, key=value; repeatable (see engine algorithms NAME)", DefaultValueFactory = _ => [] };
        var evaluateEvery = new Option<int>("--evaluate-every") { Description = "updates between evaluations, 0: only at the end", DefaultValueFactory = _ => 5000 };
        var episodes = new Option<int>("--episodes") { Description = "episodes of an evaluation", DefaultValueFactory = _ => 100 };
        var logEvery = new Option<int>("--log-every") { Description = "updates between lines of metrics", DefaultValueFactory = _ => 1000 };
        var checkpointEvery = new Option<int>("--checkpoint-every") { Description = "updates between checkpoints", DefaultValueFactory = _ => 5000 };
        var quiet = new Option<bool>("--quiet") { Description = "print only the result" };
        var (device, threads) = (DeviceOption(), ThreadsOption());
        var command = new Command("train", "Train an algorithm on a dataset and evaluate it.")
        {
            algorithm, dataset, environment, steps, seed, output, resume, set, evaluateEvery, episodes, logEvery, checkpointEvery, quiet, device, threads,
        };
        command.SetAction(parse =>
        {
            RunConfig config;
            string folder;
            string? from = parse.GetValue(resume);
            if (from is not null)
            {
                if (parse.GetValue(algorithm) is not null || parse.GetValue(dataset) is not null || parse.GetValue(set)!.Length > 0)
                    throw new SettingsException("--resume continues a run as it was configured: give no algorithm, --dataset or --set");
                (config, folder) = (RunConfig.Read(from).Config, from);
                if (parse.GetValue(steps) is { } more) config = config with { Steps = more };
            }
            else
            {
                string name = parse.GetValue(algorithm) ?? throw new SettingsException("name an algorithm: " + string.Join(", ", AlgorithmCatalogue.All.Select(a => a.Name)));
                string source = parse.GetValue(dataset) ?? throw new SettingsException("--dataset is missing: a file or builtin:pendulum");
                config = new RunConfig
                {
                    Algorithm = name,
                    Settings = SettingsJson.With(AlgorithmCatalogue.Find(name).Defaults, SettingsJson.ParseAssignments(parse.GetValue(set)!)),
                    Dataset = source,
                    Environment = parse.GetValue(environment) ?? (source == "builtin:pendulum" ? "Pendulum-v1" : null),
                    Steps = parse.GetValue(steps) ?? 20_000,
                    Seed = parse.GetValue(seed),
                    EvaluateEvery = parse.GetValue(evaluateEvery),
                    EvaluationEpisodes = parse.GetValue(episodes),
                    LogEvery = parse.GetValue(logEvery),
                    CheckpointEvery = parse.GetValue(checkpointEvery),
                };
                folder = parse.GetValue(output) ?? Path.Combine("runs", $"{name}-seed{config.Seed}");
            }
            config.Validate();
            using var cpu = OpenDevice(parse.GetValue(device)!, parse.GetValue(threads));
            return RunTraining(config, folder, from is not null, cpu, parse.GetValue(quiet));
        });
        return command;
    }

    private static int RunTraining(RunConfig config, string folder, bool resume, CpuDevice device, bool quiet)
    {
        var bounds = config.Environment is { } id ? EnvironmentCatalogue.Find(id).Create(1).ActionBounds : null;
        var data = DatasetFile.Load(config.Dataset, bounds);
        if (!quiet)
        {
            Console.WriteLine($"dataset {data.Source}: {data.Count:N0} transitions, {data.ObservationSize} observations, {data.ActionSize} actions, {data.EpisodeReturns.Length} episodes, mean return {data.EpisodeReturns.Average():F1}");
            foreach (string note in data.Notes) Console.WriteLine("  note: " + note);
        }
        using var trainer = new Trainer(config, data, device, folder, resume);
        if (!quiet) Console.WriteLine($"training {config.Algorithm} on {device.Name} ({device.Description}), seed {config.Seed}, {(resume ? $"from step {trainer.Step:N0} " : "")}to {config.Steps:N0} updates, into {folder}");

        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => { context.Cancel = true; stop.Cancel(); });
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => { context.Cancel = true; stop.Cancel(); });
        TrainingReport? last = null;
        bool terminal = !Console.IsOutputRedirected && !quiet;
        var sinceShown = System.Diagnostics.Stopwatch.StartNew();
        trainer.Run(report =>
        {
            if (report.Evaluation is not null) last = report;
            if (quiet) return;
            // On a terminal a line without an evaluation is overwritten by the next.
            if (terminal) Overwrite(Line(report, config.Steps), keep: report.Evaluation is not null);
            else Console.WriteLine(Line(report, config.Steps));
        }, stop.Token, !terminal ? null : (step, rate) =>
        {
            if (sinceShown.ElapsedMilliseconds < 500) return;
            sinceShown.Restart();
            Overwrite($"step {step}/{config.Steps}  {rate:F0} steps/s  eta {TimeSpan.FromSeconds((config.Steps - step) / Math.Max(rate, 1e-9)):hh\\:mm\\:ss}", keep: false);
        });
        if (terminal && last?.Step != config.Steps) Console.WriteLine(); // leave the progress line behind
        if (last?.Evaluation is { } e)
            Console.WriteLine($"{config.Algorithm} reached a return of {e.Mean:F1} +- {e.StandardError:F1} over {e.Returns.Length} episodes of {config.Environment}{(e.NormalizedMean is { } score ? $" (normalised {score:F1})" : "")}; the dataset's mean is {data.EpisodeReturns.Average():F1}. Run folder: {folder}");
        else Console.WriteLine($"trained {config.Algorithm} for {config.Steps:N0} updates. Run folder: {folder}");
        return 0;
    }

    private static void Overwrite(string line, bool keep)
    {
        int width = Math.Max(20, Console.WindowWidth - 1);
        Console.Write("\r" + (line.Length > width ? line[..width] : line.PadRight(width)) + (keep ? "\n" : ""));
    }

    private static string Line(TrainingReport report, int steps)
    {
        var eta = TimeSpan.FromSeconds((steps - report.Step) / Math.Max(report.StepsPerSecond, 1e-9));
        string metrics = string.Join("  ", report.Metrics.Where(m => m.Key.EndsWith("_loss", StringComparison.Ordinal)).Select(m => $"{m.Key} {m.Value:G4}"));
        string result = report.Evaluation is { } e ? $"  return {e.Mean:F1} +- {e.StandardError:F1}" : "";
        return $"step {report.Step}/{steps}  {report.StepsPerSecond:F0} steps/s  eta {eta:hh\\:mm\\:ss}{result}  {metrics}";
    }

    /// <summary>engine evaluate.</summary>
    public static Command Evaluate()
    {
        var run = new Argument<string>("run") { Description = "a run folder made by engine train" };
        var environment = new Option<string?>("--env") { Description = "environment (default: the run's)" };
        var episodes = new Option<int>("--episodes") { Description = "number of episodes", DefaultValueFactory = _ => 100 };
        var seed = new Option<ulong>("--seed") { Description = "seed of the start states" };
        var (device, threads) = (DeviceOption(), ThreadsOption());
        var command = new Command("evaluate", "Evaluate the newest checkpoint of a run with its deterministic policy.") { run, environment, episodes, seed, device, threads };
        command.SetAction(parse =>
        {
            int count = parse.GetValue(episodes);
            if (count < 1) throw new SettingsException($"--episodes {count}: expected at least 1");
            using var cpu = OpenDevice(parse.GetValue(device)!, parse.GetValue(threads));
            var (result, step) = Policy.Evaluate(parse.GetValue(run)!, parse.GetValue(environment), count, parse.GetValue(seed), cpu);
            Console.WriteLine($"step {step}: return {result.Mean:F2} +- {result.StandardError:F2} (standard error) over {count} episodes, min {result.Returns.Min():F1}, max {result.Returns.Max():F1}, mean length {result.MeanLength:F1}{(result.NormalizedMean is { } n ? $", normalised {n:F2}" : "")}");
            return 0;
        });
        return command;
    }

    /// <summary>engine verify.</summary>
    public static Command Verify()
    {
        var folders = new Argument<string[]>("fixture") { Description = "folders with fixture.json and four .safetensors files", Arity = ArgumentArity.OneOrMore };
        var quiet = new Option<bool>("--quiet") { Description = "one line per fixture" };
        var (device, threads) = (DeviceOption(), ThreadsOption());
        var command = new Command("verify", "Replay an update against an independent implementation: float64 on the interpreter, float32 on the device.") { folders, quiet, device, threads };
        command.SetAction(parse =>
        {
            using var cpu = OpenDevice(parse.GetValue(device)!, parse.GetValue(threads));
            bool all = true;
            foreach (string folder in parse.GetValue(folders)!)
            {
                var fixture = Fixture.Read(folder);
                var result = FixtureVerifier.Run(fixture, cpu);
                all &= result.Holds;
                if (!parse.GetValue(quiet))
                {
                    Console.WriteLine($"{"tensor",-48} {"float64 error",13} {"limit",8} {"float32 error",13} {"limit",8}");
                    foreach (var c in result.Comparisons)
                        Console.WriteLine($"{c.Name,-48} {c.Error64,13:E2} {c.Limit64,8:E0} {c.Error32,13:E2} {c.Limit32,8:E1}{(c.Holds ? "" : "  FAILS")}");
                    if (result.NotCompared.Count > 0) Console.WriteLine("not compared (diagnostics of the reference, draws not needed): " + string.Join(", ", result.NotCompared));
                }
                int failed = result.Comparisons.Count(c => !c.Holds);
                Console.WriteLine($"{folder}: {fixture.Algorithm}, {fixture.Updates} updates, {result.Comparisons.Count} tensors, {(failed == 0 ? "all agree" : $"{failed} DIFFER")}: worst float64 {result.Comparisons.Max(c => c.Error64):E1}, worst float32 {result.Comparisons.Max(c => c.Error32):E1}");
            }
            return all ? 0 : 1;
        });
        return command;
    }

    /// <summary>engine study.</summary>
    public static Command Study()
    {
        var file = new Argument<string>("file") { Description = "a study: dataset, environment, steps, seeds, algorithms (JSON; see docs/studies)" };
        var output = new Option<string?>("--out") { Description = "folder for the runs (default runs/NAME)" };
        var jobs = new Option<int>("--jobs") { Description = "runs side by side, one thread each", DefaultValueFactory = _ => Environment.ProcessorCount };
        var command = new Command("study", "Train algorithms times seeds; interrupted, the same command goes on; prints a table with intervals.") { file, output, jobs };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(file)!;
            int count = parse.GetValue(jobs);
            if (count < 1) throw new SettingsException($"--jobs {count}: expected at least 1");
            var study = Engine.Algorithms.Training.Study.Read(path);
            string folder = parse.GetValue(output) ?? Path.Combine("runs", Path.GetFileNameWithoutExtension(path));
            using var stop = new CancellationTokenSource();
            using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => { context.Cancel = true; stop.Cancel(); });
            study.Run(folder, count, line => Console.WriteLine($"{DateTime.Now:HH:mm:ss} {line}"), stop.Token);
            string table = study.Table(folder);
            File.WriteAllText(Path.Combine(folder, "table.md"), table);
            Console.WriteLine(table);
            return 0;
        });
        return command;
    }

    /// <summary>engine algorithms.</summary>
    public static Command Algorithms()
    {
        var name = new Argument<string?>("name") { Description = "one algorithm: its hyper-parameters, defaults and sources", Arity = ArgumentArity.ZeroOrOne };
        var papers = new Option<bool>("--papers") { Description = "the 52 papers whose methods Engine sets out to implement, with status" };
        var markdown = new Option<bool>("--markdown") { Description = "with --papers: as docs/methods.md" };
        var command = new Command("algorithms", "List the algorithms, or the hyper-parameters of one.") { name, papers, markdown };
        command.SetAction(parse =>
        {
            if (parse.GetValue(papers) && parse.GetValue(markdown))
            {
                Console.Write(MethodCatalogue.ToMarkdown());
                return 0;
            }
            if (parse.GetValue(papers))
            {
                foreach (var method in MethodCatalogue.All) Console.WriteLine($"{method.Number,2}  {method.Status,-8} {method.Name,-44} {method.Title}");
                foreach (var status in MethodCatalogue.All.GroupBy(m => m.Status)) Console.Write($"{status.Count()} {status.Key}  ");
                Console.WriteLine($"of {MethodCatalogue.All.Count}");
                return 0;
            }
            if (parse.GetValue(name) is not { } wanted)
            {
                foreach (var a in AlgorithmCatalogue.All) Console.WriteLine($"{a.Name,-10} {a.Summary} ({a.Paper})");
                return 0;
            }
            var entry = AlgorithmCatalogue.Find(wanted);
            Console.WriteLine($"{entry.Name}: {entry.Summary}\nsource: {entry.Paper}\n");
            var table = new Table().Border(TableBorder.Minimal).AddColumns("hyper-parameter", "default", "source");
            foreach (var (key, value, source) in entry.HyperParameters()) table.AddRow(Markup.Escape(key), Markup.Escape(value), Markup.Escape(source));
            AnsiConsole.Write(table);
            return 0;
        });
        return command;
    }

    /// <summary>engine devices.</summary>
    public static Command Devices()
    {
        var ops = new Option<bool>("--ops") { Description = "also the coverage matrix: which op has a kernel where, and a derivative" };
        var command = new Command("devices", "What can run here, with measured limits.") { ops };
        command.SetAction(parse =>
        {
            using var device = new CpuDevice(Environment.ProcessorCount);
            var (gflops, gigabytes) = CpuRoofline.Measure();
            Console.WriteLine($"cpu   {device.Description}; one thread: {gflops:F0} GFLOP/s float32 multiply-add, {gigabytes:F0} GB/s read from memory");
            Console.WriteLine("cuda  not in this build");
            Console.WriteLine("ilgpu not in this build");
            if (parse.GetValue(ops)) PrintCoverage(device);
            return 0;
        });
        return command;
    }

    private static void PrintCoverage(CpuDevice device)
    {
        Console.WriteLine($"\n{"op",-20} {"cases",5}  {"cpu",-10} derivative");
        foreach (var op in OpTable.Cases.GroupBy(c => c.Op.Name))
        {
            var first = op.First();
            var types = first.Inputs.Select(i => i.Type).ToArray();
            bool kernel = first.Op.IsAlias || device.Implements(first.Op, types, first.Op.Infer(types)), composite = first.Op is Composite;
            string derivative = !op.Any(c => c.Differentiable) ? "-" : Autodiff.Derivatives.HasRule(first.Op.GetType()) ? "rule" : "definition";
            Console.WriteLine($"{op.Key,-20} {op.Count(),5}  {(first.Op.IsAlias ? "no copy" : kernel ? composite ? "fused" : "kernel" : composite ? "definition" : "HOLE"),-10} {derivative}");
        }
    }
}
