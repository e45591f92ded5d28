using Engine.Algorithms.Parity;
using Engine.Kernels.Cpu;

using var device = new CpuDevice();
foreach (var dir in args)
{
    var result = FixtureVerifier.Run(Fixture.Read(dir), device);
    Console.WriteLine($"{dir} {result.Holds}");
    foreach (var c in result.Comparisons.Where(c => !c.Holds || args.Length == 1)) Console.WriteLine($"  {c.Name,-50} {c.Error64:E2} {c.Limit64:E0} {c.Error32:E2} {c.Limit32:E1} {c.Holds}");
}
return 0;
