using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
foreach (var a in args)
{
    try { var t=System.Diagnostics.Stopwatch.StartNew(); var d = DatasetFile.Load(a, null); Console.WriteLine($"{a}: {d.Count} S {d.ObservationSize} A {d.ActionSize} eps {d.EpisodeReturns.Length} mean {d.EpisodeReturns.Average():F2} first10 {d.EpisodeReturns.Take(10).Average():F1} last10 {d.EpisodeReturns.TakeLast(10).Average():F1} {string.Join("; ", d.Notes)} {t.ElapsedMilliseconds} ms {d.Fingerprint[..8]}"); }
    catch (DatasetException e) { Console.WriteLine(e.Message); }
}
var r = Evaluator.Run(EnvironmentCatalogue.Find("Pendulum-v1"), (o, n, act) => { for (int i = 0; i < n; i++) act[i] = (float)(BuiltinPendulum.Controller(Math.Atan2(o[3*i+1], o[3*i]), o[3*i+2]) / 2); }, 1000, 0);
Console.WriteLine($"controller {r.Mean:F1} +- {r.StandardError:F1} min {r.Returns.Min()}");
