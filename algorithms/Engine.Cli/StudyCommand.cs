using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Engine.Algorithms;
using Engine.Algorithms.Reporting;
using Engine.Algorithms.Studies;
using Engine.Interop;

namespace Engine.Cli;

/// <summary>engine study.</summary>
internal static class StudyCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "a study: datasets, environments, steps, seeds, algorithms (JSON; see docs/studies)" };
        var output = new Option<string?>("--out") { Description = "folder for the runs (default runs/NAME)" };
        var jobs = new Option<int?>("--jobs") { Description = "runs side by side, one thread each (default: as many as there are processors, 1 on a GPU)" };
        var device = Shared.Device();
        var dry = new Option<bool>("--dry-run") { Description = "print the runs and which of them are finished, and stop" };
        var json = Shared.Json();
        var command = new Command("study", "Train algorithms x datasets x seeds; interrupted, the same command goes on; writes a table with intervals and a report. Exit code 1: a check of the study does not hold.") { file, output, jobs, dry, json, device };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(file)!;
            string where = parse.GetValue(device)!;
            int count = parse.GetValue(jobs) ?? (where == "cpu" ? Environment.ProcessorCount : 1);
            bool lines = parse.GetValue(json);
            if (count < 1) throw new SettingsException($"--jobs {count}: expected at least 1");
            var study = Study.Read(path);
            string folder = parse.GetValue(output) ?? Path.Combine("runs", Path.GetFileNameWithoutExtension(path));
            var runs = new StudyScheduler(study, folder);
            var results = new StudyTable(study, folder);
            if (parse.GetValue(dry))
            {
                foreach (var entry in study.Entries) Console.WriteLine($"{(runs.Result(entry) is null ? "to do   " : "finished")}  {entry.Name}  {entry.Config.Algorithm}, {entry.Config.Steps:N0} updates on {entry.Config.Dataset}");
                return 0;
            }
            foreach (var precision in study.Entries.Select(e => e.Config.Precision).Distinct()) Shared.Open(where, 1, precision).Dispose(); // a device that cannot be used is an error before the first run
            Shared.WithSignals(stop => runs.Run(count, line =>
            {
                if (lines) Shared.Write(new JsonObject { ["event"] = "progress", ["text"] = line });
                else Console.WriteLine($"{DateTime.Now:HH:mm:ss} {line}");
            }, stop, () => Shared.Open(where, 1)));
            string table = results.ToMarkdown();
            AtomicFile.Write(Path.Combine(folder, "table.md"), s => s.Write(Encoding.UTF8.GetBytes(table)));
            AtomicFile.Write(Path.Combine(folder, "results.json"), s => s.Write(Encoding.UTF8.GetBytes(results.ToJson().ToJsonString() + "\n")));
            Report.Write([folder], Path.Combine(folder, Report.FileName));
            if (lines) Shared.Write(new JsonObject { ["event"] = "done", ["results"] = results.ToJson() });
            else Console.WriteLine($"{table}report: {Path.Combine(folder, Report.FileName)}");
            return results.Holds ? 0 : 1;
        });
        return command;
    }
}
