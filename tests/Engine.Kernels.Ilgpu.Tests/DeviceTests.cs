using System.Runtime.InteropServices;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>Devices, memory, plans, and what is said when something cannot be done.</summary>
public sealed class DeviceTests
{
    private static byte[] Bytes<T>(params T[] values) where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    [Fact]
    public void The_debugger_is_listed_last_and_is_never_the_default()
    {
        var all = IlgpuDevice.All();
        Assert.Equal(("ilgpu:cpu", true), (all[^1].Name, all[^1].IsDebugger));
        Assert.Equal(all.Count, all.Select(a => a.Name).Distinct().Count());
        Assert.All(all, a => Assert.DoesNotContain('\n', a.Description));
        if (IlgpuDevice.Unavailable is null)
        {
            using var device = new IlgpuDevice();
            Assert.NotEqual("ilgpu:cpu", device.Name);
            return;
        }
        string message = Assert.Throws<DeviceException>(() => new IlgpuDevice()).Message;
        Assert.Contains("OpenCL", message, StringComparison.Ordinal);
        Assert.Contains("no CUDA GPU", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ilgpu:opencl:99")]
    [InlineData("ilgpu:cuda:99")]
    [InlineData("ilgpu:gpu")]
    [InlineData("ilgpu:")]
    public void A_name_that_does_not_exist_is_refused_in_one_line_with_those_that_do(string name)
    {
        string message = Assert.Throws<DeviceException>(() => new IlgpuDevice(name)).Message;
        Assert.Contains(name, message, StringComparison.Ordinal);
        Assert.Contains("ilgpu:cpu", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private static void Memory(IlgpuDevice device)
    {
        using var buffer = device.Allocate(1000);
        byte[] read = new byte[1000];
        Array.Fill(read, (byte)7);
        buffer.Read(read);
        Assert.All(read, b => Assert.Equal(0, b));
        byte[] some = [1, 2, 3, 4, 5];
        buffer.Write(some, 500);
        buffer.Read(read);
        Assert.Equal(some, read[500..505]);
        Assert.Equal(0, read[499] + read[505]);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Write(some, 996));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Read(new byte[8], -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Allocate(-1));
        using var empty = device.Allocate(0);
        empty.Read([]);
        string message = Assert.Throws<DeviceException>(() => device.Allocate(1L << 45)).Message;
        Assert.Contains(device.Name, message, StringComparison.Ordinal);
        buffer.Write(some); // still usable
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => buffer.Read(read));
    }

    [Fact]
    public void Memory_is_zeroed_and_bounds_are_checked() => Memory(Accelerator.Debugger);

    [OpenClFact]
    public void Memory_is_zeroed_and_bounds_are_checked_on_OpenCL() => Memory(Accelerator.OpenCl);

    [Fact]
    public void A_plan_on_memory_that_is_gone_is_refused()
    {
        var device = Accelerator.Debugger;
        var type = TensorType.Float([3]);
        using var executable = device.Load(new Plan([new KernelCall(new Unary(UnaryKind.Exp), [new Operand(0, 0, type)], [new Operand(1, 0, type)])], 2));
        Buffer x = device.Allocate(12), y = device.Allocate(12);
        x.Dispose();
        using (device.Allocate(4)) { } // what is discarded is freed now
        Assert.Contains("no buffer of this device", Assert.Throws<DeviceException>(() => executable.Run([x.Address, y.Address])).Message, StringComparison.Ordinal);
        y.Dispose();
    }

    /// <summary>y += index, count times; the count is read from memory.</summary>
    private static void Loops(IlgpuDevice device)
    {
        TensorType one = TensorType.Int([]), values = TensorType.Int([5]);
        Operand y = new(0, 0, values), index = new(1, 0, one), count = new(2, 0, one);
        var add = new KernelCall(new Binary(BinaryKind.Add), [y, index], [y]);
        using Buffer memory = device.Allocate(20), step = device.Allocate(4), number = device.Allocate(4);
        using var executable = device.Load(new Plan([new Loop(10, count, index, [add, new Loop(2, null, new Operand(3, 0, one), [add])])], 4));
        using var inner = device.Allocate(4);
        nint[] slots = [memory.Address, step.Address, number.Address, inner.Address];
        foreach (int n in new[] { 0, 4, 10 })
        {
            memory.Write(new byte[20]);
            number.Write(Bytes(n));
            executable.Run(slots);
            byte[] read = new byte[20];
            memory.Read(read);
            Assert.Equal(Bytes(Enumerable.Repeat(3 * n * (n - 1) / 2, 5).ToArray()), read);
        }
        Assert.Equal((3, 30), (executable.Profile(slots).Length + 1, executable.Profile(slots).Sum(t => t.Calls)));
        number.Write(Bytes(11));
        Assert.Contains("outside 0..10", Assert.Throws<ArgumentOutOfRangeException>(() => executable.Run(slots)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Loops_run_as_often_as_the_count_says() => Loops(Accelerator.Debugger);

    [OpenClFact]
    public void Loops_run_as_often_as_the_count_says_on_OpenCL() => Loops(Accelerator.OpenCl);

    [Fact]
    public void An_op_without_a_kernel_is_refused_by_name()
    {
        var device = Accelerator.Debugger;
        var op = new Fused(1, [new(new Reduce(ReduceKind.Sum, [1], false), [0]), new(new Unary(UnaryKind.Exp), [1])]);
        var call = new KernelCall(op, [new Operand(0, 0, TensorType.Float([2, 3]))], [new Operand(1, 0, TensorType.Float([2]))]);
        string message = Assert.Throws<DeviceException>(() => device.Load(new Plan([call], 2))).Message;
        Assert.Equal("op fused sum exp(F32[2,3]) is not implemented on device ilgpu:cpu", message);
        Assert.False(device.Implements(op, call.InputTypes, call.OutputTypes));
    }

    private static void Unsupported(int i, ArrayView<float> x) => throw new NotSupportedException(x[i].ToString());

    /// <summary>In ILGPU a failed compilation spoils all that follow, until its cache is cleared.</summary>
    [Fact]
    public void After_a_kernel_that_does_not_compile_others_do()
    {
        using var device = new IlgpuDevice("ilgpu:cpu");
        string message = Assert.Throws<DeviceException>(() => device.Cache.Load(KernelSource.Of(typeof(DeviceTests), nameof(Unsupported)), "sample")).Message;
        Assert.Contains("op sample", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        var type = TensorType.Float([1]);
        Assert.Equal(Bytes(1f), OpCheck.Run(device, new Unary(UnaryKind.Cos), [type], [Bytes(0f)])[0]);
    }

    [Fact]
    public void Only_float32_products_are_known()
    {
        Assert.Throws<DeviceException>(() => Accelerator.Debugger.Precision = Precision.TF32);
        Assert.Equal(Precision.Float32, Accelerator.Debugger.Precision);
    }

    /// <summary>Sums are added in one order, whatever the groups, on every accelerator and in every run.</summary>
    [OpenClFact]
    public void Sums_do_not_depend_on_groups_accelerators_or_runs()
    {
        foreach (var (shape, axes) in new (Shape, Dims)[] { ([20_000], [0]), ([3, 5000], [1]), ([700, 6], [0]), ([40, 30, 20], [0, 2]) })
        {
            var type = TensorType.Float(shape);
            var stream = new PhiloxStream(1, "sums");
            byte[] x = Bytes(Enumerable.Range(0, (int)type.Elements).Select(_ => (float)stream.NextUniform(-1, 1)).ToArray());
            var op = new Reduce(ReduceKind.Sum, axes, false);
            byte[] expected = OpCheck.Run(Accelerator.Debugger, op, [type], [x])[0];
            try
            {
                foreach (int group in new[] { 0, 1, 32, 128 })
                {
                    Accelerator.OpenCl.GroupSize = group;
                    for (int run = 0; run < 3; run++) Assert.Equal(expected, OpCheck.Run(Accelerator.OpenCl, op, [type], [x])[0]);
                }
            }
            finally
            {
                Accelerator.OpenCl.GroupSize = 0;
            }
        }
    }
}
