using System.CommandLine;
using System.Diagnostics;
using Engine.Algorithms;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Cli;

/// <summary>engine bench: the time of one update of an algorithm on made-up data of given sizes.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        var algorithm = new Argument<string>("algorithm") { Description = string.Join(", ", AlgorithmCatalogue.All.Select(a => a.Name)) };
        var observations = new Option<int>("--observations") { Description = "observation size", DefaultValueFactory = _ => 17 };
        var actions = new Option<int>("--actions") { Description = "action size", DefaultValueFactory = _ => 6 };
        var set = new Option<string[]>("--set") { Description = "a hyper-parameter, key=value; repeatable", DefaultValueFactory = _ => [] };
        var rounds = new Option<int>("--rounds") { Description = "updates to time, after five to warm up", DefaultValueFactory = _ => 40 };
        var explain = new Option<bool>("--explain") { Description = "every kernel with shapes, FLOPs, bytes, time, rates and share of the measured roofline" };
        var threads = new Option<int>("--threads") { Description = "threads that compute on the cpu", DefaultValueFactory = _ => 1 };
        var where = Shared.Device();
        var policy = new Option<bool>("--policy") { Description = "instead of updates: the latency of the policy at one observation, percentiles over 100,000 calls" };
        var command = new Command("bench", "Time one update of an algorithm: median over rounds, the batch given, optimisers and targets included.") { algorithm, observations, actions, set, rounds, explain, policy, where, threads };
        command.SetAction(parse =>
        {
            var entry = AlgorithmCatalogue.Find(parse.GetValue(algorithm)!);
            var settings = SettingsJson.With(entry.Defaults, SettingsJson.ParseAssignments(parse.GetValue(set)!));
            int s = parse.GetValue(observations), a = parse.GetValue(actions), n = parse.GetValue(rounds), batch = settings.BatchSize;
            foreach (var (name, value) in new[] { ("--observations", s), ("--actions", a), ("--rounds", n), ("--threads", parse.GetValue(threads)) })
                if (value < 1) throw new SettingsException($"{name} {value}: expected at least 1");
            using var device = Shared.Open(parse.GetValue(where)!, parse.GetValue(threads));
            using var state = new State(device);
            int width = entry.Discrete ? 1 : a; // a discrete action is one number, its index
            var model = entry.Create(new AlgorithmContext(state, 0, s, entry.Discrete ? new DiscreteActions(a) : ActionBounds.Unit(a)), settings);
            if (parse.GetValue(policy))
            {
                using var compiled = new Policy(model, state, s, entry.Discrete ? new DiscreteActions(a) : ActionBounds.Unit(a), 1);
                Latency(compiled, s, width, $"{entry.Name}, {s}-{string.Join("-", settings.HiddenSizes)}-{a}, {device.Description}");
                return 0;
            }
            var generator = RandomDraws.AddState(state, 0);
            var programs = Enumerable.Range(0, model.Phases).Select(phase => Autodiff.Program.Trace(state, graph =>
            {
                graph.Random.Use(generator);
                Tensor Column(string name, params int[] shape) => graph.Input(name, TensorType.Float([batch, .. shape]));
                model.TraceUpdate(new Batch(Column("observations", s), Column("actions", width), Column("rewards"), Column("next_observations", s), Column("terminals")), phase);
                graph.Random.Advance();
            })).ToArray();
            foreach (var (name, columns) in new[] { ("observations", s), ("actions", width), ("rewards", 1), ("next_observations", s), ("terminals", 0) })
            {
                var stream = new PhiloxStream(1, name);
                var values = new float[batch * Math.Max(columns, 1)];
                if (columns > 0)
                    for (int i = 0; i < values.Length; i++) values[i] = entry.Discrete && name == "actions" ? stream.NextInt(a) : (float)stream.NextUniform(-1, 1);
                foreach (var program in programs) program.Write(name, values);
            }
            int step = 0;
            void Run(int updates)
            {
                for (int end = step + updates; step < end; step++) programs[model.PhaseOf(step)].Run();
            }
            // With phases an update is an average: one sample is several updates. So it is on a GPU, which the host does not wait for after each.
            int together = programs.Length == 1 && device is CpuDevice ? 1 : 20;
            Run(Math.Max(5, together));
            device.Synchronize();
            var times = new double[n];
            for (int i = 0; i < n; i++)
            {
                long start = Stopwatch.GetTimestamp();
                Run(together);
                device.Synchronize();
                times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds / together;
            }
            Array.Sort(times);
            Console.WriteLine($"{entry.Name}, batch {batch}, {s} observations, {a} actions, hidden {string.Join("-", settings.HiddenSizes)}, {device.Description}: median {times[n / 2]:F2} ms, 10% {times[n / 10]:F2}, 90% {times[Math.Min(n - 1, n * 9 / 10)]:F2} over {n * together} updates; {string.Join(" + ", programs.Select(p => p.KernelCount))} kernels, arena {state.ArenaBytes / 1e6:F1} MB");
            if (parse.GetValue(explain))
            {
                Roofline? roof = null; // of a GPU it is not measured
                if (device is CpuDevice && CpuRoofline.Measure() is var (gflops, gigabytes)) roof = new Roofline(gflops * device.Threads, gigabytes);
                foreach (var program in programs) Console.WriteLine(program.Explain(roof));
            }
            foreach (var program in programs) program.Dispose();
            return 0;
        });
        return command;
    }

    private static void Latency(Policy policy, int observations, int actions, string what)
    {
        const int WarmUp = 20_000, Calls = 100_000;
        var (observation, action, times) = (new float[observations], new float[actions], new double[Calls]);
        for (int i = -WarmUp; i < Calls; i++)
        {
            observation[(i + WarmUp) % observations] = i % 100 * 0.01f;
            long start = Stopwatch.GetTimestamp();
            policy.Act(observation, 1, action);
            if (i >= 0) times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }
        Array.Sort(times);
        Console.WriteLine($"{what}: p50 {times[Calls / 2]:F2} us, p99 {times[Calls * 99 / 100]:F2}, p99.9 {times[Calls * 999 / 1000]:F2} over {Calls:N0} calls with one observation");
    }
}
