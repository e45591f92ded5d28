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
        var dataset = new Option<string[]>("--dataset") { HelpName = "data", Description = "a file (D4RL, d3rlpy, Minari, OGBench, NeoRL, npz, CSV), a folder of shards, or builtin:NAME (engine datasets list); NAME=FILE for further sources, heldout=FILE for rows on which evaluations compute losses; repeatable", DefaultValueFactory = _ => [] };
        dataset.CompletionSources.Add(_ => BuiltinDatasets.All.Select(d => new System.CommandLine.Completions.CompletionItem("builtin:" + d.Name)));
        var output = new Option<string?>("--out") { Description = "run folder (default runs/ALGORITHM-seedSEED)" };
        var resume = new Option<string?>("--resume") { Description = "continue the run in this folder exactly where its newest checkpoint stands" };
        var set = new Option<string[]>("--set") { HelpName = "key=value", Description = "a hyper-parameter, key=value; repeatable (see engine algorithms NAME)", DefaultValueFactory = _ => [] };
        set.CompletionSources.Add(context => AlgorithmCatalogue.All.Where(a => a.Name == context.ParseResult.GetValue(algorithm)).SelectMany(a => a.HyperParameters()).Select(h => new System.CommandLine.Completions.CompletionItem(h.Name + "=")));
        var columns = Shared.Columns();
        var options = RunOptions.Create();
        var quiet = new Option<bool>("--quiet") { Description = "print only the result" };
        var json = Shared.Json();
        var (device, threads) = (Shared.Device(), Shared.Threads());
        var command = new Command("train", $"Train an algorithm on a dataset, in an environment or both, and evaluate it. Example: engine train {AlgorithmCatalogue.All[0].Name} --dataset builtin:pendulum --steps 10000")
        {
            algorithm, dataset, output, resume, set, columns, quiet, json, device, threads,
        };
        foreach (var option in options.All) command.Add(option);
        command.SetAction(parse =>
        {
            RunConfig config;
            string folder;
            string? from = parse.GetValue(resume);
            if (from is not null)
            {
                string[] mayChange = ["steps", "restart_episodes"];
                string other = options.Given(parse).FirstOrDefault(o => !mayChange.Contains(o.Key)).Key is { } key ? $" or {RunConfig.Options.First(o => o.Key == key).Name}" : "";
                if (parse.GetValue(algorithm) is not null || parse.GetValue(dataset)!.Length > 0 || parse.GetValue(set)!.Length > 0 || other.Length > 0)
                    throw new SettingsException($"--resume continues a run as it was configured: give no algorithm, --dataset, --set{other}");
                (config, folder) = (RunInfo.Read(from).Config.With(options.Given(parse)), from);
            }
            else
            {
                string name = parse.GetValue(algorithm) ?? throw new SettingsException("name an algorithm: " + algorithms);
                var sources = Sources(parse.GetValue(dataset)!);
                config = new RunConfig
                {
                    Algorithm = name,
                    Settings = SettingsJson.With(AlgorithmCatalogue.Find(name).Defaults, SettingsJson.ParseAssignments(parse.GetValue(set)!)),
                    Datasets = sources,
                    Columns = Engine.Algorithms.Data.DatasetOptions.ParseColumns(parse.GetValue(columns)!),
                }.With(options.Given(parse));
                if (config.Environment is null && sources.Values.FirstOrDefault(BuiltinDatasets.Names) is { } builtin) config = config with { Environment = BuiltinDatasets.Find(builtin).Environment };
                if (sources.Count == 0 && config.Environment is null) throw new SettingsException("nothing to learn from: --dataset is missing (a file, a folder of shards or builtin:NAME, see engine datasets list), or --env for an algorithm that learns by interacting");
                folder = parse.GetValue(output) ?? Path.Combine("runs", $"{name}-seed{config.Seed}");
            }
            config.Validate();
            using var opened = Shared.Open(parse.GetValue(device)!, parse.GetValue(threads), config.Precision);
            return Run(config, folder, from is not null, opened, parse.GetValue(quiet), parse.GetValue(json));
        });
        return command;
    }

    /// <summary>FILE is the source "offline", NAME=FILE another.</summary>
    private static Dictionary<string, string> Sources(string[] texts)
    {
        var sources = new Dictionary<string, string>();
        foreach (string text in texts)
        {
            int at = text.IndexOf('=', StringComparison.Ordinal);
            // builtin:NAME,rows=N and sample:RUN,count=N have an equals sign of its own, and a path may have.
            bool named = at > 0 && !Dataset.IsMade(text) && text[..at].All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');
            var (name, source) = named ? (text[..at], text[(at + 1)..]) : (Draw.Offline, text);
            if (!sources.TryAdd(name, source)) throw new SettingsException($"--dataset {text}: the source {name} is {sources[name]} already; further datasets need names, --dataset NAME=FILE");
        }
        return sources;
    }

    private static int Run(RunConfig config, string folder, bool resume, Device device, bool quiet, bool json)
    {
        bool talk = !quiet && !json;
        var sources = config.Datasets.ToDictionary(d => d.Key, d => TrainingData.Load(d.Value, config.Environment, config.DatasetOptions));
        if (talk)
            foreach (var (name, data) in sources)
            {
                Console.WriteLine($"dataset {(sources.Count > 1 ? name + " " : "")}{data.Source}: {data.Count:N0} transitions, {data.Spaces.Observation}, {data.ActionSpace}, {data.Returns.Episodes:N0} episodes, mean return {data.Returns.Mean:F1}");
                foreach (string note in data.Notes) Console.WriteLine("  note: " + note);
            }
        TrainingReport? last = null;
        int steps;
        using (var trainer = new Trainer(config, sources, device, folder, resume))
        {
            steps = trainer.Steps;
            string stages = trainer.Stages.Count == 1 ? "" : $" ({string.Join(", ", trainer.Stages.Select(s => s.Stage.Name))})";
            if (talk) Console.WriteLine($"training {config.Algorithm} on {device.Name} ({device.Description}), seed {config.Seed}, {(resume ? $"from step {trainer.Step:N0} " : "")}to {steps:N0} steps{stages}, into {folder}");
            var line = new ProgressLine(steps, terminal: talk && !Console.IsOutputRedirected);
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
            Shared.Write(new JsonObject { ["event"] = "done", ["run"] = folder, ["algorithm"] = config.Algorithm, ["steps"] = steps });
            return 0;
        }
        string baseline = sources.Count == 0 ? "" : $"; the dataset's mean is {(sources.GetValueOrDefault(Draw.Offline) ?? sources.Values.First()).Returns.Mean:F1}";
        if (last?.Evaluation is { } e)
            Console.WriteLine($"{config.Algorithm} reached a return of {Shared.Return(e)} of {config.Environment}{(e.NormalizedMean is { } score ? $" (normalised {score:F1})" : "")}{Shared.Measures(e)}{Shared.Further(last)}{baseline}. Run folder: {folder}");
        else Console.WriteLine($"trained {config.Algorithm} for {steps:N0} steps{(last is null ? "" : Shared.Further(last))}. Run folder: {folder}");
        return 0;
    }

    private static JsonObject ToJson(TrainingReport report)
    {
        var json = new JsonObject { ["event"] = "report", ["step"] = report.Step, ["stage"] = report.Stage, ["steps_per_second"] = Shared.Number(report.StepsPerSecond) };
        foreach (var (name, value) in report.Metrics) json[name] = Shared.Number(value);
        if (report.Evaluation is { } e) json["evaluation"] = Shared.ToJson(e);
        if (report.Further.Count > 0) json["evaluations"] = new JsonObject(report.Further.Select(f => KeyValuePair.Create(f.Key, (JsonNode?)Shared.ToJson(f.Value))));
        if (report.HeldOut.Count > 0) json[Draw.HeldOut] = new JsonObject(report.HeldOut.Select(h => KeyValuePair.Create(h.Key, Shared.Number(h.Value))));
        return json;
    }
}
