using System.CommandLine;
using Engine.Algorithms;
using Engine.Algorithms.Benchmarks;
using Engine.Kernels.Cpu;

namespace Engine.Cli;

/// <summary>engine bench: times an algorithm's update or policy, a matrix product, an ensemble or elementwise work on made-up data, beside the measured limits of this machine.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        var algorithms = AlgorithmCatalogue.All.Select(a => a.Name).ToArray();
        var work = new Argument<string>("work") { HelpName = "work", Description = $"an algorithm's update: {string.Join(", ", algorithms)}; or {string.Join(", ", OpWorkload.Kinds.Select(k => $"{k.Name} ({k.Description})"))}" };
        work.CompletionSources.Add(_ => algorithms.Concat(OpWorkload.Kinds.Select(k => k.Name)).Select(n => new System.CommandLine.Completions.CompletionItem(n)));
        var shapes = new Argument<string[]>("shapes") { Description = $"one or several; of {string.Join("; of ", OpWorkload.Kinds.GroupBy(k => k.Form).Select(g => $"{string.Join(", ", g.Select(k => k.Name))}: {g.Key}"))}", Arity = ArgumentArity.ZeroOrMore };
        var transposeA = new Option<bool>("--transpose-a") { Description = "gemm: the left factor is stored KxM" };
        var transposeB = new Option<bool>("--transpose-b") { Description = "gemm: the right factor is stored NxK" };
        var observations = new Option<int>("--observations") { Description = "observation size", DefaultValueFactory = _ => 17 };
        var actions = new Option<int>("--actions") { Description = "action size", DefaultValueFactory = _ => 6 };
        var set = new Option<string[]>("--set") { HelpName = "key=value", Description = "a hyper-parameter, key=value; repeatable", DefaultValueFactory = _ => [] };
        var policy = new Option<bool>("--policy") { Description = "instead of updates: the latency of the policy at one observation" };
        var rounds = new Option<int>("--rounds") { Description = "samples to take: updates (20 of an algorithm with phases), as many calls as take 2 ms, or 2500 calls of a policy", DefaultValueFactory = _ => 40 };
        var where = Shared.Device();
        var precision = Shared.Precision("how products of matrices are computed; tf32 and bfloat16: --device cuda, compute capability 8.0");
        var threads = new Option<int>("--threads") { Description = "threads that compute on the cpu", DefaultValueFactory = _ => 1 };
        var explain = new Option<bool>("--explain") { Description = "every kernel with shapes, FLOPs, bytes, time, rates and share of the measured limit" };
        var json = Shared.Json();
        var command = new Command("bench", $"Time an update (batch given; optimisers and targets included), a policy, a matrix product, an ensemble or elementwise work: median, rates, share of what this machine was measured to reach. Examples: engine bench {AlgorithmCatalogue.All[0].Name}; engine bench {AlgorithmCatalogue.All[0].Name} --policy; engine bench gemm 256x23x256; engine bench adam")
        { work, shapes, transposeA, transposeB, observations, actions, set, policy, rounds, where, precision, threads, explain, json };
        command.SetAction(parse =>
        {
            string name = parse.GetValue(work)!;
            int s = parse.GetValue(observations), a = parse.GetValue(actions), n = parse.GetValue(rounds);
            if (parse.GetValue(json) && parse.GetValue(explain)) throw new SettingsException("--explain is a table for people: leave out --json");
            foreach (var (option, value) in new[] { ("--observations", s), ("--actions", a), ("--rounds", n) })
                if (value < 1) throw new SettingsException($"{option} {value}: expected at least 1");
            using var device = Shared.Open(parse.GetValue(where)!, parse.GetValue(threads), Shared.ParsePrecision(parse.GetValue(precision)!));
            var given = parse.GetValue(shapes)!;
            IEnumerable<Workload> workloads;
            if (algorithms.Contains(name))
            {
                if (given.Length > 0) throw new SettingsException($"{given[0]}: shapes are for {string.Join(", ", OpWorkload.Kinds.Select(k => k.Name))}; an algorithm takes --observations, --actions and --set");
                var entry = AlgorithmCatalogue.Find(name);
                var settings = SettingsJson.With(entry.Defaults, SettingsJson.ParseAssignments(parse.GetValue(set)!));
                workloads = [parse.GetValue(policy) ? new PolicyWorkload(entry, settings, s, a, device) : new UpdateWorkload(entry, settings, s, a, device)];
            }
            else
            {
                if (parse.GetValue(policy) || parse.GetValue(set)!.Length > 0) throw new SettingsException($"{name} is no algorithm: it takes neither --policy nor --set");
                workloads = (given.Length > 0 ? given : OpWorkload.Shapes(name)).Select(shape => new OpWorkload(name, shape, device, parse.GetValue(transposeA), parse.GetValue(transposeB)));
            }
            var results = workloads.Select(workload => Measurement.Of(workload, n, device)).ToList();
            // The limits of a GPU are not measured.
            var roof = device is CpuDevice cpu ? CpuRoofline.Measure(cpu.Threads) : null;
            foreach (var result in results)
            {
                if (parse.GetValue(json)) Shared.Write(result.ToJson(device, roof));
                else Console.WriteLine(result.ToText(roof));
                if (parse.GetValue(explain))
                    foreach (var (program, _) in result.Workload.Programs) Console.WriteLine(program.Explain(roof));
                result.Workload.Dispose();
            }
            if (!parse.GetValue(json)) Console.WriteLine(BenchOutput.Text(device, roof));
            return 0;
        });
        return command;
    }
}
