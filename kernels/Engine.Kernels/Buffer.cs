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

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}
