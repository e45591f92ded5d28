using System.Security.Cryptography;
using Engine.Kernels.Cuda.Driver;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Memory, errors, contexts of other owners.</summary>
public sealed unsafe class DeviceTests
{
    private static byte[] Bytes(int n, ulong seed)
    {
        var stream = new PhiloxStream(seed, "bytes");
        var bytes = new byte[n];
        for (int i = 0; i < n; i++) bytes[i] = (byte)stream.NextInt(256);
        return bytes;
    }

    [CudaFact]
    public void Fresh_memory_is_zero_and_aligned()
    {
        using var device = new CudaDevice();
        foreach (int bytes in new[] { 0, 1, 3, 1000, 100_003 })
        {
            using (var dirty = device.Allocate(bytes)) dirty.Write(Bytes(bytes, 1));
            using var buffer = device.Allocate(bytes);
            Assert.Equal(0, buffer.Address % 64);
            var content = Bytes(bytes, 2);
            buffer.Read(content);
            Assert.All(content, b => Assert.Equal(0, b));
        }
    }

    /// <summary>More than the staging memory holds, at all offsets; what is read is what was written last.</summary>
    [CudaFact]
    public void Writes_and_reads_of_all_sizes_come_back()
    {
        using var device = new CudaDevice();
        byte[] expected = Bytes(40_000_003, 3), actual = new byte[expected.Length];
        using var buffer = device.Allocate(expected.Length);
        buffer.Write(expected);
        buffer.Read(actual);
        Assert.True(expected.AsSpan().SequenceEqual(actual));
        var random = new PhiloxStream(4, "pieces");
        for (int i = 0; i < 300; i++)
        {
            int n = random.NextInt(i % 7 == 0 ? 3_000_000 : 5000), at = random.NextInt(expected.Length - n);
            var piece = Bytes(Math.Min(n, 5000), (ulong)i);
            var whole = new byte[n];
            for (int k = 0; k < n; k += 5000) piece.AsSpan(0, Math.Min(5000, n - k)).CopyTo(whole.AsSpan(k));
            buffer.Write(whole, at);
            whole.CopyTo(expected, at);
            Array.Clear(whole); // the write has its own copy
        }
        buffer.Read(actual);
        Assert.True(expected.AsSpan().SequenceEqual(actual));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Write(new byte[2], expected.Length - 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Read(new byte[1], -1));
    }

    [CudaFact]
    public void Out_of_memory_says_how_much_and_leaves_the_device_usable()
    {
        using var device = new CudaDevice();
        using var before = device.Allocate(1000);
        before.Write(Bytes(1000, 5));
        long total = CudaDevice.All()[0].MemoryBytes;
        for (int i = 0; i < 3; i++)
        {
            var e = Assert.Throws<DeviceException>(() => device.Allocate(total + 1));
            Assert.Contains("out of memory", e.Message, StringComparison.Ordinal);
            Assert.Contains((total + 1).ToString("N0"), e.Message, StringComparison.Ordinal);
            Assert.Contains("are free", e.Message, StringComparison.Ordinal);
        }
        var type = TensorType.Float([2]);
        Assert.Equal(OpCheck.Run(device, new Unary(UnaryKind.Negate), [type], [[0, 0, 128, 63, 0, 0, 0, 64]])[0], [0, 0, 128, 191, 0, 0, 0, 192]);
        var content = new byte[1000];
        before.Read(content);
        Assert.Equal(Bytes(1000, 5), content);
    }

    /// <summary>Buffers that nobody disposed give their memory back: together they are more than there is.</summary>
    [CudaFact]
    public void Forgotten_buffers_are_collected()
    {
        using var device = new CudaDevice();
        long total = CudaDevice.All()[0].MemoryBytes, piece = Math.Min(total / 4, 64 << 20);
        for (long used = 0, n = 0; used <= 2 * Math.Min(total, 1L << 30); used += piece, n++)
        {
            Forget(device, piece);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Forget(CudaDevice device, long bytes) => device.Allocate(bytes).Write([1, 2, 3]);
    }

    [CudaFact]
    public void A_host_shares_its_context_stream_and_memory()
    {
        DriverLibrary.Need();
        CudaError.Check(CudaDriver.cuDeviceGet(out int ordinal, 0));
        CudaError.Check(CudaDriver.cuDevicePrimaryCtxRetain(out var context, ordinal));
        CudaError.Check(CudaDriver.cuCtxSetCurrent(context));
        CudaError.Check(CudaDriver.cuStreamCreate(out var stream, 0));
        CudaError.Check(CudaDriver.cuMemAlloc(out nint memory, 64));
        using (var device = CudaDevice.Attach(context.Value, stream.Value))
        {
            Assert.Equal((context.Value, stream.Value), (device.Context, device.Stream));
            using var shared = device.Wrap(memory, 64);
            shared.Write([1, 2, 3, 4]);
            var seen = new byte[4];
            fixed (byte* p = seen)
                CudaError.Check(CudaDriver.cuMemcpyDtoHAsync(p, memory, 4, stream));
            CudaError.Check(CudaDriver.cuStreamSynchronize(stream));
            Assert.Equal([1, 2, 3, 4], seen);
            var type = TensorType.Float([1]);
            Assert.Equal([0, 0, 128, 191], OpCheck.Run(device, new Unary(UnaryKind.Negate), [type], [[0, 0, 128, 63]])[0]);
            Assert.Throws<ArgumentException>(() => device.Wrap(memory + 4, 4));
        }
        // The host's own are still there.
        CudaError.Check(CudaDriver.cuCtxGetCurrent(out var current));
        Assert.Equal(context, current);
        CudaError.Check(CudaDriver.cuStreamSynchronize(stream));
        CudaError.Check(CudaDriver.cuMemFree(memory));
        CudaError.Check(CudaDriver.cuStreamDestroy(stream));
        CudaError.Check(CudaDriver.cuCtxSetCurrent(default));
        CudaError.Check(CudaDriver.cuDevicePrimaryCtxRelease(ordinal));
        Assert.Throws<ArgumentException>(() => CudaDevice.Attach(0, stream.Value));
        foreach (nint standard in new nint[] { 0, 1, 2 }) Assert.Contains("cuStreamCreate", Assert.Throws<ArgumentException>(() => CudaDevice.Attach(context.Value, standard)).Message, StringComparison.Ordinal);
    }

    [CudaFact]
    public void A_text_that_is_not_valid_is_refused_with_what_the_driver_says()
    {
        using var device = new CudaDevice();
        using var current = device.Enter();
        var e = Assert.Throws<DeviceException>(() => device.Modules.Find(new KernelLaunch("wrong", new(1), new(1), [], 0, ".version 6.5\n.target sm_75\n.address_size 64\n.visible .entry wrong(.param .u32 n) {\n\tnonsense.u32 %r0;\n}\n")));
        Assert.Contains("cuModuleLoadDataEx", e.Message, StringComparison.Ordinal);
        Assert.Contains("CUDA_ERROR_INVALID_PTX", e.Message, StringComparison.Ordinal);
        Assert.Contains("nonsense", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
        Assert.Throws<DeviceException>(() => device.Modules.Find(new KernelLaunch("no_such_kernel", new(1), new(1), [])));
    }

    /// <summary>Every kernel that ops launch is among those that the build carries, for all architectures, with the parameters that src/ has (which the stand-in compares).</summary>
    [StandInFact]
    public void The_build_carries_the_kernels_that_are_launched()
    {
        using var device = new CudaDevice();
        using var current = device.Enter();
        foreach (int architecture in new[] { 75, 80 })
        {
            using var modules = new CudaModules(architecture, namesOnly: false);
            var names = new HashSet<string>();
            foreach (var c in OpTable.Cases.Where(c => !c.Op.IsAlias && CudaDevice.HasKernel(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c)))))
                foreach (var launch in CudaDevice.Kernel(c.Op, SampleData.Types(c), c.Op.Infer(SampleData.Types(c)), device.Limits with { Architecture = architecture }).Launches.Where(l => l.Ptx is null))
                    if (names.Add(launch.Function)) modules.EmbeddedModule(launch.Function);
            Assert.True(names.Count > 20, $"only {names.Count} kernels");
        }
    }

    /// <summary>Who changes a kernel and does not run ptx/regenerate.sh would test it on the stand-in and ship the old one: only its --check compares the texts, where the compiler can be had.</summary>
    [Fact]
    public void The_kernels_that_are_carried_were_made_of_these_sources()
    {
        string kernels = Path.Combine(Sources.Root!, "kernels", "Engine.Kernels.Cuda");
        string[] Files(string extension) => [.. Directory.GetFiles(Path.Combine(kernels, "src")).Where(f => Path.GetExtension(f) == extension).Order(StringComparer.Ordinal)];
        string[] sources = Files(".cu");
        Assert.NotEmpty(sources);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in sources.Concat(Files(".cuh"))) hash.AppendData(File.ReadAllBytes(file));
        string stated = File.ReadLines(Path.Combine(kernels, "ptx", "resources.tsv")).Single(l => l.StartsWith("# Sources", StringComparison.Ordinal));
        Assert.True(stated.EndsWith(" " + Convert.ToHexStringLower(hash.GetHashAndReset()), StringComparison.Ordinal), "src/ has changed: run kernels/Engine.Kernels.Cuda/ptx/regenerate.sh and commit what it writes");
        // Every module in both folders.
        foreach (string tier in new[] { "compute_75", "compute_80" })
            Assert.Equal(sources.Select(s => Path.GetFileNameWithoutExtension(s) + ".ptx.gz"), Directory.GetFiles(Path.Combine(kernels, "ptx", tier)).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [CudaFact]
    public void A_gpu_that_is_not_there_is_named()
    {
        var e = Assert.Throws<DeviceException>(() => new CudaDevice(99));
        Assert.Contains("cuda:99", e.Message, StringComparison.Ordinal);
        Assert.Contains("cuda:0", e.Message, StringComparison.Ordinal);
        Assert.Throws<DeviceException>(() => new CudaDevice(-1));
    }

    [Fact]
    public void A_library_that_cannot_be_loaded_is_named()
    {
        Assert.Contains("/nowhere/libcuda.so", DriverLibrary.Load("/nowhere/libcuda.so").Failure, StringComparison.Ordinal);
        Assert.Contains("does not exist", DriverLibrary.Load("/nowhere/libcuda.so").Failure, StringComparison.Ordinal);
        Assert.Contains("not a library", DriverLibrary.Load(typeof(DeviceTests).Assembly.Location).Failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(10020, "10.2")]
    [InlineData(11030, "11.3")]
    public void A_driver_that_is_too_old_is_told_what_is_needed(int version, string text)
    {
        string message = DriverLibrary.VersionFailure(version)!;
        Assert.Contains(text, message, StringComparison.Ordinal);
        Assert.Contains("11.4", message, StringComparison.Ordinal);
        Assert.Null(DriverLibrary.VersionFailure(11040));
        Assert.Null(DriverLibrary.VersionFailure(13000));
    }

    /// <summary>The best variant of the kernels that a device can run.</summary>
    [Fact]
    public void The_best_variant_is_chosen()
    {
        string[] resources = ["ptx/compute_75/gemm.ptx.gz", "ptx/compute_80/gemm.ptx.gz", "ptx/sm_90a/gemm.ptx.gz", "ptx/resources.tsv"];
        string? Best(int architecture) => resources.Where(r => CudaModules.Rank(r, architecture) is not null).MaxBy(r => CudaModules.Rank(r, architecture));
        Assert.Null(Best(70));
        Assert.Equal(resources[0], Best(75));
        Assert.Equal(resources[1], Best(80));
        Assert.Equal(resources[1], Best(89));
        Assert.Equal(resources[2], Best(90));
        Assert.Equal(resources[1], Best(100));
    }

    [Fact]
    public void Entries_of_a_module_are_found() =>
        Assert.Equal(["first", "second_2"], CudaModules.EntriesOf(".version 7.0\n.visible .entry first(\n.param .u64 a)\n{ }\n.func helper()\n.visible .entry second_2()\n{ }"));
}
