using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Engine.Perf;

// Usage: perf/README.md. In this process: there is nothing to build or to restore again, and the runtime's settings are those of the command.
var config = ManualConfig.Create(DefaultConfig.Instance)
    .AddDiagnoser(MemoryDiagnoser.Default)
    .AddColumn(StatisticColumn.Median, StatisticColumn.P95, new RateColumn())
    .AddExporter(JsonExporter.Brief)
    .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(40));
return BenchmarkSwitcher.FromAssembly(typeof(Suite).Assembly).Run([.. args, "--inProcess"], config).Any(s => s.HasCriticalValidationErrors) ? 1 : 0;
