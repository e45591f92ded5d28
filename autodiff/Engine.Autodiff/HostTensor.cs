using System.Runtime.InteropServices;
using Engine.Kernels;
using Buffer = Engine.Kernels.Buffer;

namespace Engine.Autodiff;

/// <summary>An input or output of a program in the memory that the host reads and writes. Found once (<see cref="Program.Input"/>, <see cref="Program.Output"/>), it costs a copy and no search by name.</summary>
public sealed class HostTensor
{
    private readonly Buffer _buffer;
    private readonly long _offset, _bytes;
    private readonly bool _input;

    internal HostTensor(string name, bool input, Buffer buffer, Operand operand) =>
        (Name, _input, _buffer, _offset, Type, _bytes) = (name, input, buffer, operand.Offset, operand.Type, operand.Type.Bytes);

    /// <summary>Name in the graph.</summary>
    public string Name { get; }

    /// <summary>Type and shape.</summary>
    public TensorType Type { get; }

    /// <summary>Writes floats.</summary>
    /// <exception cref="ShapeException">Another type or number of elements.</exception>
    public void Write(ReadOnlySpan<float> values) => Write(DType.F32, MemoryMarshal.AsBytes(values));

    /// <summary>Writes ints.</summary>
    /// <exception cref="ShapeException">Another type or number of elements.</exception>
    public void Write(ReadOnlySpan<int> values) => Write(DType.I32, MemoryMarshal.AsBytes(values));

    /// <summary>Writes bytes, 0..255, or booleans, 0 or 1.</summary>
    /// <exception cref="ShapeException">Another type or number of elements.</exception>
    public void Write(ReadOnlySpan<byte> values) => Write(Type.DType == DType.U8 ? DType.U8 : DType.Bool, values);

    /// <summary>Reads floats of the last run.</summary>
    /// <exception cref="ShapeException">Another type or number of elements.</exception>
    public void Read(Span<float> destination) => Read(DType.F32, MemoryMarshal.AsBytes(destination));

    /// <summary>Reads ints of the last run.</summary>
    /// <exception cref="ShapeException">Another type or number of elements.</exception>
    public void Read(Span<int> destination) => Read(DType.I32, MemoryMarshal.AsBytes(destination));

    /// <summary>Reads bytes, 0..255, or booleans, 0 or 1, of the last run.</summary>
    /// <exception cref="ShapeException">Another type or number of elements.</exception>
    public void Read(Span<byte> destination) => Read(Type.DType == DType.U8 ? DType.U8 : DType.Bool, destination);

    private void Write(DType type, ReadOnlySpan<byte> bytes)
    {
        if (Type.DType != type || bytes.Length != _bytes) throw new ShapeException($"input {Name} is {Type} ({_bytes} bytes); got {bytes.Length} bytes of {type}");
        if (!_input) throw new InvalidOperationException($"output {Name} is written by the program");
        _buffer.Write(bytes, _offset);
    }

    private void Read(DType type, Span<byte> destination)
    {
        if (Type.DType != type || destination.Length != _bytes) throw new ShapeException($"output {Name} is {Type} ({_bytes} bytes); the destination has {destination.Length} bytes of {type}");
        _buffer.Read(destination, _offset);
    }
}
