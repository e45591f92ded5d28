namespace Engine.Interop.Numpy;

/// <summary>Passes a stream on and sums what was read by the CRC-32 of zip archives, which the platform's reader does not check.</summary>
internal sealed class Crc32Stream(Stream inner) : Stream
{
    private static readonly uint[] Table = Enumerable.Range(0, 256).Select(i =>
    {
        uint value = (uint)i;
        for (int bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? value >> 1 ^ 0xEDB88320 : value >> 1;
        return value;
    }).ToArray();

    private uint _state = ~0u;

    /// <summary>Of everything read so far.</summary>
    public uint Checksum => ~_state;

    public override int Read(Span<byte> buffer)
    {
        int read = inner.Read(buffer);
        uint state = _state;
        foreach (byte b in buffer[..read]) state = Table[(byte)(state ^ b)] ^ state >> 8;
        _state = state;
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
