using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Algorithms;
using Engine.Algorithms.Data;
using Spectre.Console;

namespace Engine.Cli;

/// <summary>engine datasets: list, inspect, convert, make.</summary>
internal static class DatasetsCommand
{
    public static Command Create() => new("datasets", "Look at a dataset, convert it, or make one.") { List(), Inspect(), ConvertTo(), Make() };

    private static Command List()
    {
        var json = Shared.Json();
        var command = new Command("list", "The datasets that are made in process: builtin:NAME[,quality=Q][,rows=N][,seed=S].") { json };
        command.SetAction(parse =>
        {
            foreach (var d in BuiltinDatasets.All)
                if (parse.GetValue(json)) Shared.Write(new JsonObject { ["name"] = "builtin:" + d.Name, ["summary"] = d.Summary, ["environment"] = d.Environment, ["rows"] = d.Rows, ["qualities"] = new JsonArray([.. d.Qualities.Select(q => (JsonNode)q)]) });
                else Console.WriteLine($"builtin:{d.Name,-22} {d.Rows,9:N0} rows, {d.Environment}: {d.Summary}{(d.Qualities.Count > 0 ? $"; quality={string.Join("|", d.Qualities)}" : "")}");
            return 0;
        });
        return command;
    }

    private static Command Inspect()
    {
        var source = new Argument<string>("source") { Description = "a file, a folder of them, of Minari, of LeRobot or of shards, or builtin:NAME" };
        var environment = Shared.Environments("environment, for action bounds and the normalised score");
        var reading = new ReadingOptions();
        var json = Shared.Json();
        var measures = new Option<bool>("--measures") { Description = "how good its trajectories are and how much it covers (TQ, SACo), with --random, --replay and --online-return" };
        var random = new Option<string?>("--random") { HelpName = "data", Description = "data of a random policy, for --measures" };
        var replay = new Option<string?>("--replay") { HelpName = "data", Description = "all that an online training saw, for --measures" };
        var online = new Option<double?>("--online-return") { Description = "the best mean return of that training's evaluations, for --measures" };
        var command = new Command("inspect", "Keys, shapes, episodes, returns, actions, and problems by row.") { source, environment, measures, random, replay, online, json };
        foreach (var option in reading.All) command.Add(option);
        command.SetAction(parse =>
        {
            string path = parse.GetValue(source)!;
            if (ShardedDataset.Names(path))
            {
                var shards = ShardedDataset.Open(path);
                if (parse.GetValue(json)) Shared.Write(new JsonObject { ["source"] = path, ["layout"] = "shards", ["shards"] = shards.Shards, ["transitions"] = shards.Count, ["observation_size"] = shards.ObservationSize, ["actions"] = shards.ActionSpace.ToString(), ["return_mean"] = shards.Returns.Mean });
                else Console.WriteLine($"{path}: {shards.Shards} shards, {shards.Count:N0} transitions, {shards.ObservationSize} observations, {shards.ActionSpace}, {shards.Returns.Episodes:N0} episodes with returns {shards.Returns.Min:F1} to {shards.Returns.Max:F1}, mean {shards.Returns.Mean:F1}");
                return 0;
            }
            var options = reading.Of(parse);
            var inspection = DatasetInspection.Of(path, parse.GetValue(environment), options);
            if (parse.GetValue(measures))
            {
                string Needed(Option<string?> option) => parse.GetValue(option) ?? throw new SettingsException($"--measures compares with {random.Name}, {replay.Name} and {online.Name}; {option.Name} is missing");
                var (chance, seen) = (Needed(random), Needed(replay));
                inspection = inspection with { Measures = DatasetMeasures.Of(inspection.Data, Dataset.Load(chance, options), Dataset.Load(seen, options), parse.GetValue(online) ?? throw new SettingsException($"--measures: {online.Name} is missing")) };
            }
            if (parse.GetValue(json)) Shared.Write(inspection.ToJson());
            else Print(inspection);
            return 0;
        });
        return command;
    }

    private static void Print(DatasetInspection i)
    {
        Console.WriteLine($"{i.Data.Source}: {i.Data.Layout}");
        if (i.Keys.Count > 0)
        {
            var keys = new Table().Border(TableBorder.Minimal).AddColumns("key", "shape", "type");
            foreach (var (name, shape, type) in i.Keys) keys.AddRow(Markup.Escape(name), Markup.Escape(shape), Markup.Escape(type));
            AnsiConsole.Write(keys);
        }
        Console.WriteLine($"rows          {i.Data.Count:N0}, {i.Terminals:N0} terminals, {i.Timeouts:N0} timeouts, {i.Lengths.Length:N0} trajectories of {i.Lengths.Min()} to {i.Lengths.Max()} rows (median {i.MedianLength})");
        Console.WriteLine($"transitions   {(i.View is { } view ? $"{view.Count:N0}" : "none")}, {i.Data.ObservationSize} observations, {(i.View?.ActionSpace ?? i.Data.ActionSpace)?.ToString() ?? $"{i.Data.ActionSize} action numbers"}");
        Console.WriteLine($"returns       {i.Returns.Min():F1} to {i.Returns.Max():F1}, mean {i.Returns.Average():F1}{(i.Score is { } s ? $" (normalised {s:F1} by the references of {i.ScoreOf})" : "")}");
        Console.WriteLine($"rewards       {i.Rewards.Min:G5} to {i.Rewards.Max:G5}, mean {i.Rewards.Mean:G5}, std {i.Rewards.Std:G5}");
        if (i.Measures is { } m) Console.WriteLine($"measures      TQ {m.Quality:F3}, SACo {m.Coverage:F3}, lSACo {m.LogCoverage:F3}");
        if (i.Data.Environment is { } environment) Console.WriteLine($"environment   {environment}");
        if (i.View is not null) Console.WriteLine($"fingerprint   {i.View.Fingerprint[..16]}");
        foreach (string note in i.Notes) Console.WriteLine("note          " + note);
        foreach (string problem in i.Problems) Console.WriteLine("problem       " + problem);
        if (i.Problems.Count == 0) Console.WriteLine("no problems found");
    }

    private static Command ConvertTo()
    {
        var source = new Argument<string>("source") { Description = "a file, a folder of them, of Minari or of LeRobot, or builtin:NAME" };
        var target = new Argument<string>("target") { Description = "NAME.hdf5 or NAME.npz (D4RL's keys), or a folder NAME.shards of transitions for data larger than memory" };
        var also = new Option<string[]>("--also") { Description = "a further file, for shards only: files are read one after another, so that all of them together may be larger than memory; repeatable", DefaultValueFactory = _ => [] };
        var rows = new Option<int>("--rows-per-shard") { Description = "transitions of a shard", DefaultValueFactory = _ => 1_000_000 };
        var environment = Shared.Environments("environment, for the action bounds of shards");
        var reading = new ReadingOptions();
        var force = new Option<bool>("--force") { Description = "replace an existing file" };
        var command = new Command("convert", "Write a dataset in another layout. Example: engine datasets convert log.csv log.hdf5 --column observations=state") { source, target, also, rows, environment, force };
        foreach (var option in reading.All) command.Add(option);
        command.SetAction(parse =>
        {
            var options = reading.Of(parse);
            Write([parse.GetValue(source)!, .. parse.GetValue(also)!], options, parse.GetValue(target)!, parse.GetValue(rows), parse.GetValue(environment), parse.GetValue(force));
            return 0;
        });
        return command;
    }

    private static Command Make()
    {
        var name = new Argument<string>("name") { HelpName = "name", Description = string.Join(", ", BuiltinDatasets.All.Select(d => d.Name)) };
        name.CompletionSources.Add(_ => BuiltinDatasets.All.Select(d => new System.CommandLine.Completions.CompletionItem(d.Name)));
        var target = new Argument<string>("target") { Description = "NAME.hdf5, NAME.npz or NAME.shards" };
        var rows = new Option<int?>("--rows") { Description = "rows to make" };
        var seed = new Option<ulong>("--seed") { Description = "of starts and behaviour" };
        var quality = new Option<string?>("--quality") { Description = "of the behaviour, where there are several (engine datasets list)" };
        var perShard = new Option<int>("--rows-per-shard") { Description = "transitions of a shard", DefaultValueFactory = _ => 1_000_000 };
        var force = new Option<bool>("--force") { Description = "replace an existing file" };
        var command = new Command("make", "Write a built-in dataset to a file.") { name, target, quality, rows, seed, perShard, force };
        command.SetAction(parse =>
        {
            string source = $"builtin:{parse.GetValue(name)}{(parse.GetValue(quality) is { } q ? $",quality={q}" : "")}{(parse.GetValue(rows) is { } n ? $",rows={n}" : "")},seed={parse.GetValue(seed)}";
            Write([source], new DatasetOptions(), parse.GetValue(target)!, parse.GetValue(perShard), null, parse.GetValue(force));
            return 0;
        });
        return command;
    }

    private static void Write(string[] sources, DatasetOptions options, string target, int rowsPerShard, string? environment, bool force)
    {
        if (Path.GetExtension(target.TrimEnd('/')) == ShardedDataset.Extension)
        {
            if (force && Directory.Exists(target)) Directory.Delete(target, recursive: true);
            ShardedDataset.Write(sources.Select(source => (TransitionDataset)TrainingData.Load(source, environment, options)).Select(part =>
            {
                foreach (string note in part.Notes) Console.WriteLine($"{part.Source}: note: {note}");
                return part;
            }), target, rowsPerShard);
            var written = ShardedDataset.Open(target);
            Console.WriteLine($"{target}: {written.Count:N0} transitions in {written.Shards} shards");
            return;
        }
        if (sources.Length > 1) throw new SettingsException($"--also: {target} is one file; several sources go into a folder {ShardedDataset.Extension}");
        if (File.Exists(target) && !force) throw new SettingsException($"{target}: exists already; --force replaces it");
        var data = Dataset.Load(sources[0], options);
        foreach (string note in data.Notes) Console.WriteLine("note: " + note);
        DatasetWriter.Write(data, target);
        Console.WriteLine($"{target}: {data.Count:N0} rows of {data.Layout}, {data.ObservationSize} observations, {data.ActionSize} action numbers, {new FileInfo(target).Length / 1e6:F1} MB");
    }
}
