namespace Engine.Kernels;

/// <summary>Memory of a device.</summary>
public abstract class Buffer : IDisposable
{
    /// <summary>Size.</summary>
    public abstract long Bytes { get; }

    /// <summary>Address on the device.</summary>
    public abstract nint Address { get; }

    /// <summary>Copies from the host.</summary>
    public abstract void Write(ReadOnlySpan<byte> source, long offset = 0);

    /// <summary>Copies to the host.</summary>
    public abstract void Read(Span<byte> destination, long offset = 0);

    /// <summary>Throws if bytes from an offset on leave a buffer of so many.</summary>
    protected static void CheckRange(long length, long offset, long bytes)
    {
        if (offset < 0 || offset + length > bytes) throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} leave a buffer of {bytes}");
    }

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}
