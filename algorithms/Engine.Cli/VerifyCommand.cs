using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Algorithms;
using Engine.Algorithms.Parity;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Cli;

/// <summary>engine verify.</summary>
internal static class VerifyCommand
{
    public static Command Create()
    {
        var folders = new Argument<string[]>("fixture") { Description = "folders with fixture.json and its .safetensors files, or folders of such folders; one that waits for a method counts as not agreeing", Arity = ArgumentArity.ZeroOrMore };
        var ops = new Option<bool>("--ops") { Description = "every op of the op table on the device, against float64" };
        var only = new Option<string?>("--only") { HelpName = "name,...", Description = "of --ops: ops whose name has one of these in it, such as matmul,linear" };
        var quiet = new Option<bool>("--quiet") { Description = "one line per fixture" };
        var json = Shared.Json();
        var (device, threads) = (Shared.Device(), Shared.Threads());
        var precision = Shared.Precision("of --ops: products of matrices are compared with those of rounded factors; tf32 and bfloat16: --device cuda, compute capability 8.0");
        var command = new Command("verify", "Replay an update against an independent implementation: float64 on the interpreter, float32 on the device. Or check the device's kernels one by one.") { folders, ops, only, quiet, json, device, precision, threads };
        command.SetAction(parse =>
        {
            if (parse.GetValue(folders)!.Length == 0 && !parse.GetValue(ops)) throw new SettingsException("name a folder with a fixture, or give --ops");
            var wanted = Shared.ParsePrecision(parse.GetValue(precision)!);
            if (parse.GetValue(folders)!.Length > 0 && wanted != Precision.Float32) throw new SettingsException($"--precision {wanted.Name()}: fixtures are compared in float32; give it with --ops alone");
            var names = parse.GetValue(only)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (names is not null && (names.Length == 0 || !parse.GetValue(ops))) throw new SettingsException("--only: names of ops; with --ops");
            foreach (string name in names ?? [])
                if (!OpTable.Cases.Any(c => c.Op.Name.Contains(name, StringComparison.Ordinal))) throw new SettingsException($"--only {name}: no op's name has that in it; engine devices --ops lists them");
            using var opened = Shared.Open(parse.GetValue(device)!, parse.GetValue(threads), wanted);
            bool all = !parse.GetValue(ops) || Ops(opened, names, parse.GetValue(json));
            int agree = 0, differ = 0, waiting = 0;
            foreach (string folder in parse.GetValue(folders)!.SelectMany(Folders))
            {
                var fixture = Fixture.Read(folder);
                if (fixture.Waits is { } missing)
                {
                    all = false;
                    waiting++;
                    if (parse.GetValue(json)) Shared.Write(new JsonObject { ["fixture"] = folder, ["algorithm"] = fixture.Algorithm, ["kind"] = fixture.Kind, ["holds"] = null, ["waits"] = missing });
                    else Console.WriteLine($"{folder}: {missing}");
                    continue;
                }
                var result = FixtureVerifier.Run(fixture, opened);
                all &= result.Holds;
                if (result.Holds) agree++;
                else differ++;
                if (parse.GetValue(json))
                {
                    Shared.Write(new JsonObject
                    {
                        ["fixture"] = folder,
                        ["algorithm"] = fixture.Algorithm,
                        ["holds"] = result.Holds,
                        ["tensors"] = new JsonArray(result.Comparisons.Select(c => (JsonNode)new JsonObject
                        {
                            ["name"] = c.Name,
                            ["error64"] = Shared.Number(c.Error64),
                            ["limit64"] = c.Limit64,
                            ["error32"] = Shared.Number(c.Error32),
                            ["limit32"] = c.Limit32,
                            ["holds"] = c.Holds,
                        }).ToArray()),
                    });
                    continue;
                }
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
            if (agree + differ + waiting > 1 && !parse.GetValue(json)) Console.WriteLine($"{agree + differ + waiting} fixtures: {agree} agree, {differ} differ, {waiting} wait for a method");
            return all ? 0 : 1;
        });
        return command;
    }

    /// <summary>A fixture's folder is itself; one that holds fixtures' folders stands for them, in the order of their names.</summary>
    private static IEnumerable<string> Folders(string folder)
    {
        if (File.Exists(Path.Combine(folder, "fixture.json")) || !Directory.Exists(folder)) return [folder];
        string[] inner = Directory.GetDirectories(folder).Where(f => File.Exists(Path.Combine(f, "fixture.json"))).Order(StringComparer.Ordinal).ToArray();
        return inner.Length == 0 ? [folder] : inner;
    }

    private static bool Ops(Device device, string[]? names, bool json)
    {
        int cases = 0, failed = 0;
        var kinds = new HashSet<Type>();
        foreach (var (c, failure) in DeviceCheck.Run(device, names is null ? null : name => names.Any(n => name.Contains(n, StringComparison.Ordinal))))
        {
            cases++;
            kinds.Add(c.Op.GetType());
            if (failure is null) continue;
            failed++;
            if (!json) Console.WriteLine($"FAILS: {failure}");
        }
        if (json) Shared.Write(new JsonObject { ["device"] = device.Description, ["precision"] = device.Precision.Name(), ["ops"] = kinds.Count, ["cases"] = cases, ["failed"] = failed });
        else Console.WriteLine($"{device.Description}: {kinds.Count} ops in {cases} cases, {(failed == 0 ? "all agree with float64 and repeat to the bit" : $"{failed} FAIL")}");
        return failed == 0;
    }
}
