using System.CommandLine;
using Engine.Algorithms;
using Engine.Algorithms.Data;
using Engine.Algorithms.Policies;

namespace Engine.Cli;

/// <summary>engine sample.</summary>
internal static class SampleCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "a run folder made by engine train, of an algorithm that generates transitions" };
        var output = new Option<string>("--output") { HelpName = "file", Description = "the dataset to write, in the format of its extension: " + string.Join(", ", DatasetWriter.Extensions), Required = true };
        var count = new Option<int>("--count") { Description = "transitions", DefaultValueFactory = _ => Generator.UsualCount };
        var seed = new Option<long>("--seed") { Description = "of the draws", DefaultValueFactory = _ => 0 };
        var checkpoint = new Option<string>("--checkpoint") { Description = "last, best, or a step that is kept", DefaultValueFactory = _ => "last" };
        var (device, threads) = (Shared.Device(), Shared.Threads());
        var command = new Command("sample", "Draw transitions from a run that generates them (synther) and write them as a dataset that engine train reads like any other.") { run, output, count, seed, checkpoint, device, threads };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(output)!;
            if (!DatasetWriter.Extensions.Contains(Path.GetExtension(path).ToLowerInvariant())) throw new SettingsException($"--output {path}: expected a file of {string.Join(", ", DatasetWriter.Extensions)}");
            if (parse.GetValue(seed) < 0) throw new SettingsException($"--seed {parse.GetValue(seed)}: expected at least 0");
            using var opened = Shared.Open(parse.GetValue(device)!, parse.GetValue(threads));
            var data = Generator.Draw(parse.GetValue(run)!, parse.GetValue(count), (ulong)parse.GetValue(seed), parse.GetValue(checkpoint)!, opened);
            DatasetWriter.Write(data, path);
            Console.WriteLine($"{path}: {data.Count} transitions, {data.Terminals.Count(t => t)} terminal, mean reward {data.Rewards.Average():G4}");
            return 0;
        });
        return command;
    }
}
