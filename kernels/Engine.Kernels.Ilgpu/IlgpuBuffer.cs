namespace Engine.Kernels.Ilgpu;

/// <summary>Memory of an accelerator. Its address is a number that the device knows.</summary>
internal sealed class IlgpuBuffer(IlgpuDevice device, int number, long bytes) : Buffer
{
    private bool _disposed;

    ~IlgpuBuffer() => Free();

    public override long Bytes => bytes;

    public override nint Address => IlgpuDevice.Token(number);

    public override void Write(ReadOnlySpan<byte> source, long offset = 0)
    {
        Check(source.Length, offset);
        if (source.IsEmpty) return;
        using var current = device.Enter();
        device.Write(Address, offset, source);
    }

    public override void Read(Span<byte> destination, long offset = 0)
    {
        Check(destination.Length, offset);
        if (destination.IsEmpty) return;
        using var current = device.Enter();
        device.Read(Address, offset, destination);
    }

    private void Check(long length, long offset)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        CheckRange(length, offset, Bytes);
    }

    public override void Dispose()
    {
        Free();
        base.Dispose();
    }

    // What is queued may still use it, so the device frees it later.
    private void Free()
    {
        if (_disposed) return;
        _disposed = true;
        device.Discard(number);
    }
}
