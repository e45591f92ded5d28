using System.CommandLine;
using Engine.Algorithms;
using Engine.Algorithms.Evaluation;

namespace Engine.Cli;

/// <summary>engine evaluate.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "a run folder made by engine train, or a policy folder made by engine export" };
        var environment = Shared.Environments("environment (default: the run's)");
        var episodes = new Option<int>("--episodes") { Description = "number of episodes", DefaultValueFactory = _ => 100 };
        var seed = new Option<ulong>("--seed") { Description = "seed of the start states" };
        var checkpoint = new Option<string>("--checkpoint") { Description = "last, best (of the evaluations while training), or a step that is kept", DefaultValueFactory = _ => "last" };
        var prompt = new Option<string?>("--prompt") { HelpName = "data", Description = "rows that tell the policy what to do, of a method that takes a prompt: a file or builtin:NAME" };
        var json = Shared.Json();
        var (device, threads) = (Shared.Device(), Shared.Threads());
        var command = new Command("evaluate", "Evaluate the deterministic policy of a run's checkpoint, or of a policy folder.") { run, environment, episodes, seed, checkpoint, prompt, json, device, threads };
        command.SetAction(parse =>
        {
            int count = parse.GetValue(episodes);
            if (count < 1) throw new SettingsException($"--episodes {count}: expected at least 1");
            using var opened = Shared.Open(parse.GetValue(device)!, parse.GetValue(threads));
            var (result, step) = Evaluator.Run(parse.GetValue(run)!, parse.GetValue(environment), count, parse.GetValue(seed), opened, parse.GetValue(checkpoint)!, parse.GetValue(prompt));
            if (parse.GetValue(json))
            {
                var line = Shared.ToJson(result);
                line["step"] = step;
                Shared.Write(line);
            }
            else Console.WriteLine($"step {step}: return {Shared.Return(result, "F2", " (standard error)")}, min {result.Returns.Min():F1}, max {result.Returns.Max():F1}, mean length {result.MeanLength:F1}{(result.NormalizedMean is { } n ? $", normalised {n:F2}" : "")}{Shared.Measures(result)}");
            return 0;
        });
        return command;
    }
}
