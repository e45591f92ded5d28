using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Algorithms;
using Engine.Algorithms.Data;
using Engine.Algorithms.Reporting;
using Engine.Algorithms.Training;
using Engine.Kernels;

namespace Engine.Cli;

/// <summary>engine train.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        string algorithms = string.Join(", ", AlgorithmCatalogue.All.Select(a => a.Name));
        var algorithm = new Argument<string?>("algorithm") { HelpName = "algorithm", Description = "what to train: " + algorithms, Arity = ArgumentArity.ZeroOrOne };
        algorithm.CompletionSources.Add(_ => AlgorithmCatalogue.All.Select(a => new System.CommandLine.Completions.CompletionItem(a.Name)));
        var dataset = new Option<string?>("--dataset") { HelpName = "data", Description = "a file (D4RL, d3rlpy, Minari, OGBench, NeoRL, npz, CSV), a folder of shards, or builtin:NAME (engine datasets list)" };
        dataset.CompletionSources.Add(_ => BuiltinDatasets.All.Select(d => new System.CommandLine.Completions.CompletionItem("builtin:" + d.Name)));
        var environment = Shared.Environments("environment to evaluate on (default: a built-in dataset's own)");
        var steps = new Option<int?>("--steps") { Description = "updates (default 20000); with --resume: train up to this many in all" };
        var seed = new Option<ulong>("--seed") { Description = "of parameters, batches and draws" };
        var output = new Option<string?>("--out") { Description = "run folder (default runs/ALGORITHM-seedSEED)" };
        var resume = new Option<string?>("--resume") { Description = "continue the run in this folder exactly where its newest checkpoint stands" };
        var set = new Option<string[]>("--set") { HelpName = "key=value", Description = "a hyper-parameter, key=value; repeatable (see engine algorithms NAME)", DefaultValueFactory = _ => [] };
        set.CompletionSources.Add(context => AlgorithmCatalogue.All.Where(a => a.Name == context.ParseResult.GetValue(algorithm)).SelectMany(a => a.HyperParameters()).Select(h => new System.CommandLine.Completions.CompletionItem(h.Name + "=")));
        var rewards = new Option<string?>("--rewards") { Description = "how rewards are changed before training: shift=-1, scale=0.1, return-range (1000 / best - worst return), or several with commas" };
        var (columns, maxSteps) = (Shared.Columns(), Shared.MaxSteps());
        var evaluateEvery = new Option<int>("--evaluate-every") { Description = "updates between evaluations, 0: only at the end", DefaultValueFactory = _ => 5000 };
        var episodes = new Option<int>("--episodes") { Description = "episodes of an evaluation", DefaultValueFactory = _ => 100 };
        var logEvery = new Option<int>("--log-every") { Description = "updates between lines of metrics", DefaultValueFactory = _ => 1000 };
        var checkpointEvery = new Option<int>("--checkpoint-every") { Description = "updates between checkpoints", DefaultValueFactory = _ => 5000 };
        var shardUpdates = new Option<int>("--shard-updates") { Description = "of data in shards: updates after which one of the two resident shards is replaced", DefaultValueFactory = _ => 1000 };
        var quiet = new Option<bool>("--quiet") { Description = "print only the result" };
        var json = Shared.Json();
        var (device, threads) = (Shared.Device(), Shared.Threads());
        var precision = Shared.Precision("how products of matrices are computed; tf32 and bfloat16: --device cuda, compute capability 8.0; --resume keeps it");
        var command = new Command("train", "Train an algorithm on a dataset and evaluate it. Example: engine train edac --dataset builtin:pendulum --steps 10000 --set critics=5")
        {
            algorithm, dataset, environment, steps, seed, output, resume, set, rewards, columns, maxSteps, evaluateEvery, episodes, logEvery, checkpointEvery, shardUpdates, quiet, json, device, precision, threads,
        };
        command.SetAction(parse =>
        {
            RunConfig config;
            string folder;
            string? from = parse.GetValue(resume);
            if (from is not null)
            {
                if (parse.GetValue(algorithm) is not null || parse.GetValue(dataset) is not null || parse.GetValue(set)!.Length > 0 || parse.GetValue(rewards) is not null || parse.GetResult(precision) is { Implicit: false })
                    throw new SettingsException("--resume continues a run as it was configured: give no algorithm, --dataset, --rewards, --precision or --set");
                (config, folder) = (RunConfig.Read(from).Config, from);
                if (parse.GetValue(steps) is { } more) config = config with { Steps = more };
            }
            else
            {
                string name = parse.GetValue(algorithm) ?? throw new SettingsException("name an algorithm: " + algorithms);
                string source = parse.GetValue(dataset) ?? throw new SettingsException("--dataset is missing: a file, a folder of shards or builtin:NAME (engine datasets list)");
                var options = Shared.DatasetOptions(parse, columns, maxSteps);
                config = new RunConfig
                {
                    Algorithm = name,
                    Settings = SettingsJson.With(AlgorithmCatalogue.Find(name).Defaults, SettingsJson.ParseAssignments(parse.GetValue(set)!)),
                    Dataset = source,
                    Columns = options.Columns,
                    MaxEpisodeSteps = options.MaxEpisodeSteps,
                    Rewards = parse.GetValue(rewards),
                    Precision = Shared.ParsePrecision(parse.GetValue(precision)!),
                    Environment = parse.GetValue(environment) ?? (BuiltinDatasets.Names(source) ? BuiltinDatasets.Find(source).Environment : null),
                    Steps = parse.GetValue(steps) ?? 20_000,
                    Seed = parse.GetValue(seed),
                    EvaluateEvery = parse.GetValue(evaluateEvery),
                    EvaluationEpisodes = parse.GetValue(episodes),
                    LogEvery = parse.GetValue(logEvery),
                    CheckpointEvery = parse.GetValue(checkpointEvery),
                    ShardUpdates = parse.GetValue(shardUpdates),
                };
                folder = parse.GetValue(output) ?? Path.Combine("runs", $"{name}-seed{config.Seed}");
            }
            config.Validate();
            using var opened = Shared.Open(parse.GetValue(device)!, parse.GetValue(threads), config.Precision);
            return Run(config, folder, from is not null, opened, parse.GetValue(quiet), parse.GetValue(json));
        });
        return command;
    }

    private static int Run(RunConfig config, string folder, bool resume, Device device, bool quiet, bool json)
    {
        bool talk = !quiet && !json;
        var data = TrainingData.Load(config.Dataset, config.Environment, config.DatasetOptions);
        if (talk)
        {
            Console.WriteLine($"dataset {data.Source}: {data.Count:N0} transitions, {data.ObservationSize} observations, {data.ActionSpace}, {data.Returns.Episodes:N0} episodes, mean return {data.Returns.Mean:F1}");
            foreach (string note in data.Notes) Console.WriteLine("  note: " + note);
        }
        TrainingReport? last = null;
        using (var trainer = new Trainer(config, data, device, folder, resume))
        {
            if (talk) Console.WriteLine($"training {config.Algorithm} on {device.Name} ({device.Description}), seed {config.Seed}, {(resume ? $"from step {trainer.Step:N0} " : "")}to {config.Steps:N0} updates, into {folder}");
            var line = new ProgressLine(config.Steps, terminal: talk && !Console.IsOutputRedirected);
            try
            {
                Shared.WithSignals(stop => trainer.Run(report =>
                {
                    last = report;
                    if (json) Shared.Write(ToJson(report));
                    if (talk) line.Show(report);
                }, stop, talk ? line.Show : null));
            }
            finally
            {
                line.Close();
                Report.WriteFor(folder);
            }
        }
        if (json)
        {
            Shared.Write(new JsonObject { ["event"] = "done", ["run"] = folder, ["algorithm"] = config.Algorithm, ["steps"] = config.Steps });
            return 0;
        }
        if (last?.Evaluation is { } e)
            Console.WriteLine($"{config.Algorithm} reached a return of {Shared.Return(e)} of {config.Environment}{(e.NormalizedMean is { } score ? $" (normalised {score:F1})" : "")}; the dataset's mean is {data.Returns.Mean:F1}. Run folder: {folder}");
        else Console.WriteLine($"trained {config.Algorithm} for {config.Steps:N0} updates. Run folder: {folder}");
        return 0;
    }

    private static JsonObject ToJson(TrainingReport report)
    {
        var json = new JsonObject { ["event"] = "report", ["step"] = report.Step, ["steps_per_second"] = Shared.Number(report.StepsPerSecond) };
        foreach (var (name, value) in report.Metrics) json[name] = Shared.Number(value);
        if (report.Evaluation is { } e) json["evaluation"] = Shared.ToJson(e);
        return json;
    }
}
