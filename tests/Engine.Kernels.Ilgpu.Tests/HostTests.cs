using System.Reflection;
using System.Runtime.InteropServices;
using Engine.Kernels.Cpu;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.OpenCL;
using HostAccelerator = ILGPU.Runtime.Accelerator;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>A host program that uses ILGPU itself: its context, accelerator, stream and memory, as it would make them.</summary>
internal sealed class Host : IDisposable
{
    public Context Context { get; }

    public HostAccelerator Accelerator { get; }

    public AcceleratorStream Stream { get; }

    public Host(bool openCl, Action<Context.Builder>? more = null)
    {
        Context = Context.Create(b =>
        {
            if (openCl) b.OpenCL(IlgpuDevice.EveryOpenClDevice);
            b.CPU(CPUDevice.Default); // 16 threads, as most have it
            more?.Invoke(b);
        });
        Accelerator = (openCl ? Context.GetCLDevice(0) : (ILGPU.Runtime.Device)Context.GetCPUDevice(0)).CreateAccelerator(Context);
        Stream = Accelerator.CreateStream();
    }

    public MemoryBuffer1D<float, Stride1D.Dense> Allocate(params float[] values)
    {
        var memory = Accelerator.Allocate1D<float>(values.Length);
        Set(memory, values);
        return memory;
    }

    public void Set(MemoryBuffer1D<float, Stride1D.Dense> memory, params float[] values) => memory.View.CopyFromCPU(Stream, values);

    public float[] Get(MemoryBuffer1D<float, Stride1D.Dense> memory)
    {
        float[] values = new float[memory.Length];
        memory.View.CopyToCPU(Stream, values);
        Stream.Synchronize();
        return values;
    }

    public void Dispose()
    {
        Stream.Dispose();
        Accelerator.Dispose();
        Context.Dispose();
    }
}

/// <summary>Devices on the accelerator, stream and memory of a host.</summary>
public sealed class HostTests
{
    private static readonly float[] Numbers = [-2f, -0.5f, 0f, 1e-3f, 0.7f, 1f, 3f, 40f];

    private static Executable Load(IlgpuDevice device, Op op, int n = 8)
    {
        var type = TensorType.Float([n]);
        return device.Load(new Plan([new KernelCall(op, [new Operand(0, 0, type)], [new Operand(1, 0, type)])], 2));
    }

    private static float[] OnProcessor(Op op, float[] x)
    {
        using var processor = new CpuDevice();
        return MemoryMarshal.Cast<byte, float>(OpCheck.Run(processor, op, [TensorType.Float([x.Length])], [MemoryMarshal.AsBytes(x.AsSpan()).ToArray()])[0]).ToArray();
    }

    private static void Shares(bool openCl)
    {
        using var host = new Host(openCl);
        using var x = host.Allocate(Numbers);
        using var y = host.Allocate(new float[8]);
        using (var device = IlgpuDevice.Attach(host.Accelerator, host.Stream))
        {
            Assert.Equal("ilgpu:host", device.Name);
            using Buffer input = device.Wrap(x), output = device.Wrap(y);
            Assert.Equal((32, 32), (input.Bytes, output.Bytes));
            using var executable = Load(device, new Unary(UnaryKind.Tanh));
            executable.Run([input.Address, output.Address]);
            Assert.Equal(OnProcessor(new Unary(UnaryKind.Tanh), Numbers), host.Get(y));
            // What the host writes is read, and what the device writes is the host's: the memory is one.
            float[] others = Array.ConvertAll(Numbers, v => 1 - v);
            host.Set(x, others);
            executable.Run([input.Address, output.Address]);
            Assert.Equal(OnProcessor(new Unary(UnaryKind.Tanh), others), host.Get(y));
            output.Write(BitConverter.GetBytes(5f), 4);
            Assert.Equal(5f, host.Get(y)[1]);
            byte[] read = new byte[4];
            input.Read(read, 8);
            Assert.Equal(others[2], BitConverter.ToSingle(read));
            // A part that begins inside, and a wrapped buffer that is let go of.
            executable.Run([output.Address, input.Address]);
            input.Dispose();
            Assert.Equal(OnProcessor(new Unary(UnaryKind.Tanh), host.Get(y)), host.Get(x));
        }
        // The host's own outlive the device.
        host.Set(y, Numbers);
        Assert.Equal(Numbers, host.Get(y));
        using var again = IlgpuDevice.Attach(host.Accelerator, host.Stream);
        Assert.Equal(BitConverter.GetBytes(-1f), OpCheck.Run(again, new Unary(UnaryKind.Negate), [TensorType.Float([1])], [BitConverter.GetBytes(1f)])[0]);
    }

    [Fact]
    public void Memory_stream_and_context_are_the_hosts() => Shares(openCl: false);

    [OpenClFact]
    public void Memory_stream_and_context_are_the_hosts_on_OpenCL() => Shares(openCl: true);

    private static void Double(Index1D i, ArrayView<float> x) => x[i] *= 2f;

    private static void AddOne(Index1D i, ArrayView<float> x) => x[i] += 1f;

    /// <summary>Kernels of the host and of the device take turns on one stream.</summary>
    [Fact]
    public void Kernels_of_the_host_run_between_ours()
    {
        using var host = new Host(openCl: false);
        using var x = host.Allocate(Numbers);
        using var device = IlgpuDevice.Attach(host.Accelerator, host.Stream);
        using var buffer = device.Wrap(x);
        using var executable = Load(device, new Unary(UnaryKind.Exp));
        var twice = host.Accelerator.LoadAutoGroupedKernel<Index1D, ArrayView<float>>(Double);
        twice(host.Stream, 8, x.View);
        executable.Run([buffer.Address, buffer.Address]);
        twice(host.Stream, 8, x.View);
        Assert.Equal(Array.ConvertAll(OnProcessor(new Unary(UnaryKind.Exp), Array.ConvertAll(Numbers, v => 2 * v)), v => 2 * v), host.Get(x));
    }

    private static void Keeps(bool openCl)
    {
        using Host host = new(openCl), other = new(openCl: false);
        using var memory = host.Allocate(Numbers);
        // A thread that has no accelerator, one that has the host's, one that has another.
        foreach (var before in new[] { null, host.Accelerator, other.Accelerator })
            OnThread(() =>
            {
                before?.Bind();
                IlgpuDevice device = null!;
                Buffer wrapped = null!, own = null!;
                Executable executable = null!;
                var type = TensorType.Int([]);
                (string What, Action Do)[] entries =
                [
                    ("Attach", () => device = IlgpuDevice.Attach(host.Accelerator, host.Stream)),
                    ("Wrap", () => wrapped = device.Wrap(memory)),
                    ("Allocate", () => own = device.Allocate(32)),
                    ("Write", () => own.Write(new byte[32])),
                    ("Read", () => wrapped.Read(new byte[32])),
                    ("Load", () => executable = Load(device, new Unary(UnaryKind.Sqrt))),
                    ("a failed Load", () => Assert.Throws<DeviceException>(() => device.Cache.Load(KernelSource.Of(typeof(HostTests), nameof(Unsupported)), "sample"))),
                    ("Run", () => executable.Run([wrapped.Address, own.Address])),
                    ("Profile", () => executable.Profile([wrapped.Address, own.Address])),
                    ("Synchronize", () => device.Synchronize()),
                    ("a refusal", () => Assert.Throws<DeviceException>(() => device.Allocate(1L << 45))),
                    ("Dispose of an executable", () => executable.Dispose()),
                    ("Dispose of memory", () => own.Dispose()),
                    ("Allocate again", () => device.Allocate(4).Dispose()),
                    ("Dispose", () => device.Dispose()),
                    ("a device of its own", () => device = new IlgpuDevice("ilgpu:cpu")),
                    ("its Dispose", () => device.Dispose()),
                ];
                foreach (var (what, act) in entries)
                {
                    act();
                    Assert.True(ReferenceEquals(before, HostAccelerator.Current), $"after {what} the thread has {HostAccelerator.Current?.Name ?? "no accelerator"}, before it had {before?.Name ?? "none"}");
                }
            });
    }

    private static void OnThread(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try { action(); }
            catch (Exception e) { failure = e; }
        })
        { IsBackground = true };
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromMinutes(2)), "it waits for what never happens");
        if (failure is not null) throw new InvalidOperationException(failure.Message, failure);
    }

    [Fact]
    public void A_threads_accelerator_stays_what_it_was() => Keeps(openCl: false);

    [OpenClFact]
    public void A_threads_accelerator_stays_what_it_was_on_OpenCL() => Keeps(openCl: true);

    [DllImport("libOpenCL.so.1")]
    private static extern nint clCreateUserEvent(nint context, out int error);

    [DllImport("libOpenCL.so.1")]
    private static extern int clSetUserEventStatus(nint gate, int status);

    [DllImport("libOpenCL.so.1")]
    private static extern int clEnqueueBarrierWithWaitList(nint queue, uint count, in nint gates, nint done);

    [DllImport("libOpenCL.so.1")]
    private static extern int clReleaseEvent(nint gate);

    /// <summary>The host's queue stands still until all has been called: what waited for it would never return.</summary>
    [OpenClFact]
    public void Nothing_waits_but_reads()
    {
        using var host = new Host(openCl: true);
        using var x = host.Allocate(Numbers);
        IlgpuDevice device = null!;
        Buffer output = null!;
        nint gate = clCreateUserEvent(host.Accelerator.NativePtr, out int error);
        Assert.Equal(0, error);
        Assert.Equal(0, clEnqueueBarrierWithWaitList(((CLStream)host.Stream).CommandQueue, 1, in gate, 0));
        float[] given = [4f, 9f, 16f, 25f, 36f, 49f, 64f, 81f], expected = [-2f, -3f, -4f, -5f, -6f, -7f, -8f, -9f];
        try
        {
            OnThread(() =>
            {
                device = IlgpuDevice.Attach(host.Accelerator, host.Stream);
                var input = device.Wrap(x);
                output = device.Allocate(32);
                Executable root = Load(device, new Unary(UnaryKind.Sqrt)), negate = Load(device, new Unary(UnaryKind.Negate));
                input.Write(MemoryMarshal.AsBytes(given.AsSpan()));
                root.Run([input.Address, output.Address]);
                negate.Run([output.Address, output.Address]);
                input.Write(new byte[32]); // after it was read
                root.Dispose();
                negate.Dispose();
                input.Dispose();
                device.Allocate(1000).Dispose();
            });
        }
        finally
        {
            Assert.Equal(0, clSetUserEventStatus(gate, 0));
            _ = clReleaseEvent(gate);
        }
        byte[] read = new byte[32];
        output.Read(read);
        Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(read).ToArray());
        Assert.Equal(new float[8], host.Get(x));
        device.Dispose();
    }

    /// <summary>More than is staged at once, from memory that changes as soon as it is written.</summary>
    private static void Writes(IlgpuDevice device)
    {
        byte[] source = new byte[11 << 20];
        using Buffer first = device.Allocate(source.Length), second = device.Allocate(source.Length);
        for (int i = 0; i < source.Length; i++) source[i] = (byte)(i * 31 >> 3);
        byte[] expected = [.. source], read = new byte[source.Length];
        first.Write(source);
        Array.Clear(source);
        second.Write(source.AsSpan(3), 3);
        for (int i = 0; i < 300; i++) second.Write([(byte)i, (byte)(i >> 8), 7], 3 * i); // many small ones
        first.Read(read);
        Assert.Equal(expected, read);
        second.Read(read);
        for (int i = 0; i < 300; i++) Assert.Equal([(byte)i, (byte)(i >> 8), 7], read[(3 * i)..(3 * i + 3)]);
        Assert.Equal(-1, Array.FindIndex(read, 900, b => b != 0));
    }

    [Fact]
    public void Writes_may_be_longer_than_what_is_staged() => Writes(Accelerator.Debugger);

    [OpenClFact]
    public void Writes_may_be_longer_than_what_is_staged_on_OpenCL() => Writes(Accelerator.OpenCl);

    private static void Unsupported(int i, ArrayView<float> x) => throw new NotSupportedException(x[i].ToString());

    private static void Scale(int i, ArrayView<float> x) => x[i] = MathF.FusedMultiplyAdd(x[i], 2f, 1f);

    private static MethodInfo Method(string name) => typeof(HostTests).GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!;

    private static void Heals(bool openCl)
    {
        using var host = new Host(openCl);
        using var device = IlgpuDevice.Attach(host.Accelerator, host.Stream);
        using var x = host.Allocate(Numbers);
        using var buffer = device.Wrap(x);
        using var before = Load(device, new Unary(UnaryKind.Negate));
        Action<AcceleratorStream, Index1D, ArrayView<float>>? twice = openCl ? null : host.Accelerator.LoadAutoGroupedKernel<Index1D, ArrayView<float>>(Double);
        Assert.Throws<DeviceException>(() => device.Cache.Load(KernelSource.Of(typeof(HostTests), nameof(Unsupported)), "sample"));
        // What was loaded before runs, the host's context compiles what is new to it, and so does the device.
        before.Run([buffer.Address, buffer.Address]);
        twice?.Invoke(host.Stream, 8, x.View);
        Assert.Equal(Array.ConvertAll(Numbers, v => openCl ? -v : -2 * v), host.Get(x));
        Assert.NotNull(host.Accelerator.GetBackend().Compile(EntryPointDescription.FromImplicitlyGroupedKernel(Method(nameof(AddOne))), new KernelSpecialization()));
        if (!openCl)
        {
            host.Accelerator.LoadAutoGroupedKernel<Index1D, ArrayView<float>>(AddOne)(host.Stream, 8, x.View);
            Assert.Equal(Array.ConvertAll(Numbers, v => -2 * v + 1), host.Get(x));
        }
        host.Set(x, Numbers);
        using var after = Load(device, new Unary(UnaryKind.Tanh));
        after.Run([buffer.Address, buffer.Address]);
        Assert.Equal(OnProcessor(new Unary(UnaryKind.Tanh), Numbers), host.Get(x));
    }

    [Fact]
    public void A_kernel_that_does_not_compile_leaves_the_hosts_context_usable() => Heals(openCl: false);

    [OpenClFact]
    public void A_kernel_that_does_not_compile_leaves_the_hosts_context_usable_on_OpenCL() => Heals(openCl: true);

    /// <summary>Two accelerators of a context compile through one compiler, whose cache one of them clears again and again.</summary>
    [Fact]
    public async Task Accelerators_of_one_context_may_compile_at_the_same_time()
    {
        using var host = new Host(openCl: false);
        using var second = host.Context.GetCPUDevice(0).CreateAccelerator(host.Context);
        using var stream = second.CreateStream();
        using IlgpuDevice one = IlgpuDevice.Attach(host.Accelerator, host.Stream), other = IlgpuDevice.Attach(second, stream);
        var source = KernelSource.Of(typeof(HostTests), nameof(Scale));
        void Many(IlgpuDevice device, bool fail)
        {
            for (int i = 0; i < 150; i++)
            {
                if (fail) Assert.Throws<DeviceException>(() => device.Cache.Load(KernelSource.Of(typeof(HostTests), nameof(Unsupported)), "sample"));
                device.Cache.Load(source with { Key = $"scale {i}" }, "sample");
            }
        }
        var failing = Task.Run(() => Many(one, fail: true));
        Many(other, fail: false);
        await failing;
    }

    [Fact]
    public void What_is_not_the_accelerators_own_is_refused()
    {
        using Host host = new(openCl: false), other = new(openCl: false);
        Assert.Throws<ArgumentException>(() => IlgpuDevice.Attach(host.Accelerator, other.Stream));
        using var device = IlgpuDevice.Attach(host.Accelerator, host.Stream);
        using var foreign = other.Allocate(1f);
        Assert.Throws<ArgumentException>(() => device.Wrap(foreign));
        var memory = host.Allocate(Numbers);
        using var wrapped = device.Wrap(memory);
        using var executable = Load(device, new Unary(UnaryKind.Exp), n: 9);
        using var own = device.Allocate(36);
        Assert.Contains("do not lie in a buffer of 32", Assert.Throws<DeviceException>(() => executable.Run([wrapped.Address, own.Address])).Message, StringComparison.Ordinal);
        memory.Dispose();
        Assert.Contains("may have been disposed", Assert.Throws<DeviceException>(() => wrapped.Read(new byte[4])).Message, StringComparison.Ordinal);
        Assert.Throws<ObjectDisposedException>(() => device.Wrap(memory));
        using Host fast = new(openCl: false, b => b.Math(MathMode.Fast)), calls = new(openCl: false, b => b.Inlining(InliningMode.Disabled));
        Assert.Contains("MathMode.Fast", Assert.Throws<DeviceException>(() => IlgpuDevice.Attach(fast.Accelerator, fast.Stream)).Message, StringComparison.Ordinal);
        Assert.Contains("InliningMode.Disabled", Assert.Throws<DeviceException>(() => IlgpuDevice.Attach(calls.Accelerator, calls.Stream)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_may_dispose_its_accelerator_first()
    {
        var host = new Host(openCl: false);
        var device = IlgpuDevice.Attach(host.Accelerator, host.Stream);
        var memory = device.Allocate(4);
        host.Dispose();
        memory.Dispose();
        device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.Allocate(4));
        Assert.Throws<ObjectDisposedException>(() => IlgpuDevice.Attach(host.Accelerator, host.Stream));
    }

    /// <summary>Hosts set their contexts up in their own ways: the bits are the same.</summary>
    private static void SameBits(bool openCl)
    {
        (Op Op, TensorType[] Types)[] works =
        [
            (new Unary(UnaryKind.Sin), [TensorType.Float([50])]),
            (new Binary(BinaryKind.Divide), [TensorType.Float([50]), TensorType.Float([50])]),
            (new Fused(2, [new(new Binary(BinaryKind.Multiply), [0, 1]), new(new Unary(UnaryKind.Sqrt), [0]), new(new Fma(), [2, 1, 3])]), [TensorType.Float([50]), TensorType.Float([50])]),
            (new MatMul(false, false), [TensorType.Float([7, 9]), TensorType.Float([9, 5])]),
            (new Reduce(ReduceKind.Sum, [1], false), [TensorType.Float([3, 700])]),
        ];
        var known = openCl ? Accelerator.OpenCl : Accelerator.Debugger;
        foreach (var more in new Action<Context.Builder>[] { b => b.EnableAlgorithms(), b => b.Optimize(OptimizationLevel.O0), b => b.PageLocking(PageLockingMode.Aggressive) })
        {
            using var host = new Host(openCl, more);
            using var device = IlgpuDevice.Attach(host.Accelerator, host.Stream);
            foreach (var (op, types) in works)
            {
                var stream = new PhiloxStream(3, "hosts");
                byte[][] inputs = Array.ConvertAll(types, t => MemoryMarshal.AsBytes(Enumerable.Range(0, (int)t.Elements).Select(_ => (float)stream.NextUniform(0, 2)).ToArray().AsSpan()).ToArray());
                Assert.Equal(OpCheck.Run(known, op, types, inputs), OpCheck.Run(device, op, types, inputs));
            }
        }
    }

    [Fact]
    public void The_hosts_settings_of_its_context_do_not_change_bits() => SameBits(openCl: false);

    [OpenClFact]
    public void The_hosts_settings_of_its_context_do_not_change_bits_on_OpenCL() => SameBits(openCl: true);
}
