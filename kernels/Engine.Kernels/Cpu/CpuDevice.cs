using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Engine.Kernels.Cpu;

/// <summary>The processor: SIMD kernels on a fixed pool of threads. Results do not depend on the number of threads.</summary>
public sealed class CpuDevice : Device
{
    // More than lies in a cache.
    private const long LargeProduct = 32 << 20;

    /// <summary>A device with a pool of its own.</summary>
    /// <param name="threads">Threads that compute, the caller's included; 1 starts none.</param>
    public CpuDevice(int threads = 1)
    {
        if (threads < 1) throw new ArgumentOutOfRangeException(nameof(threads), threads, "expected at least 1 thread");
        Pool = new WorkerPool(threads);
        Threads = threads;
    }

    /// <summary>Threads that compute.</summary>
    public override int Threads { get; }

    /// <summary>Elements from which on a fused expression gets a loop compiled for it (a few milliseconds when a program is loaded, once for equal expressions); <see cref="long.MaxValue"/>: never. The bits are the
    /// same either way. ENGINE_NO_COMPILED_LOOPS=1 turns it off from outside.</summary>
    public long CompileFrom { get; init; } = EnvironmentSwitch.IsSet("ENGINE_NO_COMPILED_LOOPS") ? long.MaxValue : 2048;

    /// <summary>The pool, with counters of the chunks each thread ran.</summary>
    public WorkerPool Pool { get; }

    /// <inheritdoc/>
    public override string Name => "cpu";

    /// <inheritdoc/>
    public override string Description =>
        $"{RuntimeInformation.ProcessArchitecture}, {(Vector512.IsHardwareAccelerated ? "Vector512" : Vector256.IsHardwareAccelerated ? "Vector256" : Vector128.IsHardwareAccelerated ? "Vector128" : "scalar")}, {Threads} thread{(Threads == 1 ? "" : "s")} of {Environment.ProcessorCount}";

    /// <inheritdoc/>
    public override Buffer Allocate(long bytes) => new CpuBuffer(bytes);

    /// <inheritdoc/>
    public override bool Implements(Op op, TensorType[] inputs, TensorType[] outputs) => CpuKernels.Has(op);

    /// <inheritdoc/>
    /// <remarks>A product is limited by arithmetic, and what is read beside it is not hidden behind that: measured, a mask or a sum by itself, streaming through memory, takes
    /// less time, though more bytes. Products of one term are limited by memory already; and a large product may be written over its mask, which saves memory.</remarks>
    public override bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs) =>
        Implements(op, inputs, outputs) && op switch
        {
            FusedMatMul fused => inputs[0].Shape[fused.Product.TransposeA ? ^2 : ^1] == 1 || outputs[0].Bytes >= LargeProduct,
            Fused fused => fused.IsElementwiseOnly(inputs) || (ReduceKernel.Takes(fused, inputs) && ReduceKernel.KeepsThreadsBusy(fused, inputs)),
            // Rows between two products stay in the cache as it is.
            MatMulChain => false,
            _ => true,
        };

    /// <inheritdoc/>
    public override Executable Load(Plan plan) => new CpuExecutable(this, plan);

    /// <inheritdoc/>
    public override void Dispose()
    {
        Pool.Dispose();
        base.Dispose();
    }
}

/// <summary>Unmanaged memory, zeroed, aligned to a cache line, so that the collector never moves or scans it.</summary>
internal sealed unsafe class CpuBuffer : Buffer
{
    private byte* _memory;

    public CpuBuffer(long bytes)
    {
        Bytes = bytes;
        _memory = CpuMemory.Allocate(bytes);
        NativeMemory.Clear(_memory, (nuint)Math.Max(bytes, 64));
    }

    ~CpuBuffer() => Free();

    public override long Bytes { get; }

    public override nint Address => (nint)_memory;

    public override void Write(ReadOnlySpan<byte> source, long offset = 0)
    {
        Check(source.Length, offset);
        source.CopyTo(new Span<byte>(_memory + offset, source.Length));
    }

    public override void Read(Span<byte> destination, long offset = 0)
    {
        Check(destination.Length, offset);
        new ReadOnlySpan<byte>(_memory + offset, destination.Length).CopyTo(destination);
    }

    public override void Dispose()
    {
        Free();
        base.Dispose();
    }

    private void Check(long length, long offset)
    {
        ObjectDisposedException.ThrowIf(_memory == null, this);
        CheckRange(length, offset, Bytes);
    }

    private void Free()
    {
        CpuMemory.Free(_memory);
        _memory = null;
    }
}
