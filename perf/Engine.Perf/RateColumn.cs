using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Engine.Algorithms.Benchmarks;
using Engine.Kernels.Cpu;

namespace Engine.Perf;

/// <summary>GFLOP/s of nominal work, or GB/s of operands where there are no matrix products.</summary>
internal sealed class RateColumn : IColumn
{
    public string Id => nameof(RateColumn);

    public string ColumnName => "Rate";

    public string Legend => "GFLOP/s of matrix products as the method asks for them, else GB/s of operands";

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => false;

    public UnitType UnitType => UnitType.Dimensionless;

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
    {
        if (summary[benchmarkCase]?.ResultStatistics is not { } statistics) return "-";
        var suite = (Suite)Activator.CreateInstance(benchmarkCase.Descriptor.Type)!;
        foreach (var parameter in benchmarkCase.Parameters.Items) suite.GetType().GetProperty(parameter.Name)!.SetValue(suite, parameter.Value);
        using var device = new CpuDevice();
        using Workload workload = suite.Create(device);
        return workload.NominalFlops > 0 ? $"{workload.NominalFlops / statistics.Median:F1} GFLOP/s" : $"{workload.Bytes / statistics.Median:F1} GB/s";
    }
}
