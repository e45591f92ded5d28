using Engine.Algorithms.Benchmarks;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>What the benchmarks count, and that they run. No test asserts a time.</summary>
public sealed class BenchmarkTests
{
    private const int S = 5, A = 2, B = 8, H = 16;

    /// <summary>Multiply-adds a row: a forward, and what its backward costs to the inputs of all layers but the first.</summary>
    private static (double Forward, double Inner) Network(params int[] widths)
    {
        double forward = 0;
        for (int i = 1; i < widths.Length; i++) forward += widths[i - 1] * widths[i];
        return (forward, forward - widths[0] * widths[1]);
    }

    private static UpdateWorkload Update(string algorithm, Device device, params string[] settings)
    {
        var entry = AlgorithmCatalogue.Find(algorithm);
        return new UpdateWorkload(entry, SettingsJson.With(entry.Defaults, SettingsJson.ParseAssignments([$"batch_size={B}", "hidden_sizes=16,16", .. settings])), S, A, device);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public void Nominal_work_of_sac_n_is_the_hand_formula(int n)
    {
        using var device = new CpuDevice();
        using var workload = Update("sac-n", device, $"critics={n}");
        var (critic, inner) = Network(S + A, H, H, 1);
        var (actor, actorInner) = Network(S, H, H, 2 * A); // both heads
        // The policy runs for the temperature, for its own loss and for the target, and goes back once. The critics run for the policy's loss, as targets and for their own loss; they go back
        // to the actions in the policy's, to the weights in their own.
        double rows = 3 * actor + (actor + actorInner) + n * (3 * critic + critic + (critic + inner));
        Assert.Equal(2 * B * rows, workload.NominalFlops);
    }

    [Fact]
    public void Nominal_work_of_td3_bc_is_the_hand_formula()
    {
        using var device = new CpuDevice();
        using var workload = Update("td3-bc", device);
        var (critic, inner) = Network(S + A, H, H, 1);
        var (actor, actorInner) = Network(S, H, H, A);
        double critics = actor + 2 * critic + 2 * (critic + critic + inner), policy = actor + (actor + actorInner) + critic + critic;
        Assert.Equal(2 * B * (critics + policy / 2), workload.NominalFlops, 1e-9);
    }

    [Fact]
    public void Nominal_work_of_iql_is_the_hand_formula()
    {
        using var device = new CpuDevice();
        using var workload = Update("iql", device);
        double Trained(params int[] widths) => 2 * Network(widths).Forward + Network(widths).Inner;
        double value = Network(S, H, H, 1).Forward, critics = 2 * Network(S + A, H, H, 1).Forward;
        Assert.Equal(2 * B * (value + critics + Trained(S, H, H, 1) + 2 * Trained(S + A, H, H, 1) + Trained(S, H, H, A)), workload.NominalFlops);
    }

    [Fact]
    public void Passes_leave_work_out_of_what_is_executed_alone()
    {
        using var device = new CpuDevice();
        using UpdateWorkload one = Update("sac-n", device, "critics=1"), many = Update("sac-n", device, "critics=10"), cloning = Update("bc", device);
        Assert.Equal(cloning.NominalFlops, cloning.ExecutedFlops);
        // The policy's trunk is shared by its two losses; of ten critics one member a row goes back.
        Assert.True(one.ExecutedFlops < one.NominalFlops);
        Assert.True(many.ExecutedFlops < 0.9 * many.NominalFlops, $"{many.ExecutedFlops} of {many.NominalFlops}");
    }

    [Fact]
    public void Updates_are_the_same_bits_with_one_thread_and_with_two()
    {
        string Digest(int threads)
        {
            using var device = new CpuDevice(threads);
            using var workload = Update("td3-bc", device);
            string before = workload.Digest();
            workload.Run(workload.Cycle);
            Assert.NotEqual(before, workload.Digest());
            return workload.Digest();
        }
        Assert.Equal(Digest(1), Digest(2));
    }

    [Fact]
    public void A_policy_acts_without_allocating()
    {
        using var device = new CpuDevice();
        var entry = AlgorithmCatalogue.Find("iql");
        using var workload = new PolicyWorkload(entry, entry.Defaults, S, A, device);
        var latency = workload.Measure(1000);
        Assert.Equal(0, latency.AllocatedBytes);
        Assert.True(latency.P50 <= latency.P99 && latency.P99 <= latency.P999);
        Assert.Equal(2 * Network(S, 256, 256, A).Forward, workload.NominalFlops);
    }

    public static TheoryData<string, string, double, double> Ops() => new()
    {
        { "gemm", "3x5x7", 2 * 3 * 5 * 7, 4 * (15 + 35 + 21) },
        { "gemm", "2x3x5x7", 2 * 2 * 3 * 5 * 7, 2 * 4 * (15 + 35 + 21) },
        { "mlp", "3x4x5-6-1", 2 * 3 * 4 * (30 + 6), double.NaN },
        { "mlp-gradient", "3x4x5-6-1", 2 * 3 * 4 * (30 + 6 + 30 + 6 + 6), double.NaN },
        { "add", "100", 0, 4 * 300 },
        { "chain", "100", 0, 4 * 300 + 4 }, // and the constant
        { "exp", "100", 0, 4 * 200 },
        { "tanh", "100", 0, 4 * 200 },
        { "sum", "100", 0, 4 * 101 },
        { "row-sum", "20x5", 0, 4 * 120 },
        { "adam", "100", 0, 4 * (700 + 3) }, // and three scalars
        { "polyak", "100", 0, 4 * 300 },
    };

    [Theory]
    [MemberData(nameof(Ops))]
    public void Ops_count_their_work_and_their_operands(string kind, string shape, double flops, double bytes)
    {
        using var device = new CpuDevice();
        using var workload = new OpWorkload(kind, shape, device);
        Assert.Equal(flops, workload.NominalFlops);
        Assert.Equal(flops, workload.ExecutedFlops);
        if (!double.IsNaN(bytes)) Assert.Equal(bytes, workload.Bytes);
        workload.Run(2);
        Assert.Equal(3, workload.Time(3).Length);
        if (kind is "adam" or "polyak") Assert.Equal(kind == "adam" ? 1200 : 400, workload.Programs[0].Program.Cost.Kernels[0].Traffic.InPlace);
    }

    [Fact]
    public void Every_kind_is_tested_and_has_shapes_worth_timing()
    {
        Assert.Equal(OpWorkload.Kinds.Select(k => k.Name).Order(), Ops().Select(row => (string)row[0]).Distinct().Order());
        Assert.All(OpWorkload.Kinds, kind => Assert.NotEmpty(OpWorkload.Shapes(kind.Name)));
    }

    [Theory]
    [InlineData("gemm", "3x5")]
    [InlineData("gemm", "3x5x-7")]
    [InlineData("gemm", "3x5x0")]
    [InlineData("row-sum", "100")]
    [InlineData("gemm", "axbxc")]
    [InlineData("mlp", "3x4x5")]
    [InlineData("add", "3x5")]
    [InlineData("add", "")]
    public void Shapes_that_make_no_sense_are_refused(string kind, string shape)
    {
        using var device = new CpuDevice();
        Assert.Contains("expected", Assert.Throws<SettingsException>(() => new OpWorkload(kind, shape, device)).Message, StringComparison.Ordinal);
    }
}
