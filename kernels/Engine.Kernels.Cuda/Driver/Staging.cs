using static Engine.Kernels.Cuda.Driver.CudaDriver;
using static Engine.Kernels.Cuda.Driver.CudaError;

namespace Engine.Kernels.Cuda.Driver;

/// <summary>
/// Memory of the host that the GPU copies from and to by itself. Writes fill pieces of it in turn and are queued; a piece is filled again when the copies out of it are done, so
/// a write returns at once unless the GPU is several pieces behind.
/// </summary>
internal sealed unsafe class Staging : IDisposable
{
    private const int Pieces = 4;
    private const uint NoTiming = 2;

    private readonly CudaDevice _device;
    private readonly CudaStream _stream;
    private readonly long _pieceBytes;
    private readonly byte* _memory;
    private readonly CudaEvent[] _copied = new CudaEvent[Pieces];
    private readonly bool[] _pending = new bool[Pieces];
    private int _piece;
    private long _used;

    public Staging(CudaDevice device, long pieceBytes = 4 << 20)
    {
        (_device, _stream, _pieceBytes) = (device, device.Queue, pieceBytes);
        Check(cuMemHostAlloc(out nint memory, (nuint)(Pieces * pieceBytes), 0));
        _memory = (byte*)memory;
        for (int i = 0; i < Pieces; i++) Check(cuEventCreate(out _copied[i], NoTiming));
    }

    /// <summary>Queues a copy to the device; the source may change when this returns.</summary>
    public void Write(ReadOnlySpan<byte> source, nint target)
    {
        while (source.Length > 0)
        {
            if (_used == _pieceBytes) Turn();
            int n = (int)Math.Min(source.Length, _pieceBytes - _used);
            byte* from = _memory + _piece * _pieceBytes + _used;
            source[..n].CopyTo(new Span<byte>(from, n));
            Check(cuMemcpyHtoDAsync(target, from, (nuint)n, _stream));
            source = source[n..];
            target += n;
            _used = Math.Min(_pieceBytes, (_used + n + 63) / 64 * 64);
        }
    }

    /// <summary>Copies from the device, after everything that is queued.</summary>
    public void Read(nint source, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            // The piece may still be copied from; the stream does that first.
            Turn();
            int n = (int)Math.Min(destination.Length, _pieceBytes);
            byte* to = _memory + _piece * _pieceBytes;
            Check(cuMemcpyDtoHAsync(to, source, (nuint)n, _stream));
            _device.CountWait();
            Check(cuStreamSynchronize(_stream));
            Array.Clear(_pending); // all that was queued is done
            new ReadOnlySpan<byte>(to, n).CopyTo(destination);
            destination = destination[n..];
            source += n;
            _used = 0;
        }
    }

    /// <summary>Leaves the piece, and waits until nothing is copied from the next any more.</summary>
    private void Turn()
    {
        if (_used > 0)
        {
            Check(cuEventRecord(_copied[_piece], _stream));
            _pending[_piece] = true;
        }
        _piece = (_piece + 1) % Pieces;
        if (_pending[_piece])
        {
            _device.CountWait();
            Check(cuEventSynchronize(_copied[_piece]));
        }
        _pending[_piece] = false;
        _used = 0;
    }

    public void Dispose()
    {
        foreach (var copied in _copied) _ = cuEventDestroy(copied);
        _ = cuMemFreeHost((nint)_memory);
    }
}
