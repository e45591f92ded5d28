using System.Runtime.InteropServices;
using Engine.Kernels;
using Buffer = Engine.Kernels.Buffer;

namespace Engine.Autodiff;

/// <summary>What a variable is for.</summary>
public enum VariableKind
{
    /// <summary>Trained by an optimiser, or a slow copy of such; part of checkpoints.</summary>
    Parameter,
    /// <summary>Moments, counters, the generator's state; part of checkpoints.</summary>
    State,
    /// <summary>Columns of a dataset; not part of checkpoints.</summary>
    Data,
}

/// <summary>Named state that outlives a run. The name is a path, <c>critics.layer0.weight</c>.</summary>
/// <param name="Name">The name in checkpoints and fixtures.</param>
/// <param name="Type">Its type.</param>
/// <param name="Kind">What it is for.</param>
public sealed record Variable(string Name, TensorType Type, VariableKind Kind);

/// <summary>The variables of a model on a device, shared by all its programs, and one arena that the programs use in turn.</summary>
public sealed class State : IDisposable
{
    private readonly Dictionary<string, (Variable Variable, Buffer Buffer)> _variables = [];
    private readonly List<Variable> _order = [];
    private Buffer? _arena;

    /// <summary>Empty state.</summary>
    public State(Device device) => Device = device;

    /// <summary>Where it lies.</summary>
    public Device Device { get; }

    /// <summary>All variables in the order they were added.</summary>
    public IReadOnlyList<Variable> Variables => _order;

    /// <summary>Bytes of the arena: the largest need among the programs.</summary>
    public long ArenaBytes => _arena?.Bytes ?? 0;

    internal Buffer Arena => _arena ?? throw new ObjectDisposedException(nameof(State), "the state of this program is disposed");

    /// <summary>Adds a float variable.</summary>
    /// <param name="name">Unique path.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="initial">Row-major values.</param>
    /// <param name="kind">What it is for.</param>
    public Variable Add(string name, Shape shape, ReadOnlySpan<float> initial, VariableKind kind = VariableKind.Parameter) =>
        AddBytes(new(name, TensorType.Float(shape), kind), MemoryMarshal.AsBytes(initial));

    /// <summary>Adds an int variable.</summary>
    public Variable Add(string name, Shape shape, ReadOnlySpan<int> initial, VariableKind kind = VariableKind.State) =>
        AddBytes(new(name, TensorType.Int(shape), kind), MemoryMarshal.AsBytes(initial));

    /// <summary>Adds a variable of bytes (U8), 0..255: images.</summary>
    public Variable Add(string name, Shape shape, ReadOnlySpan<byte> initial, VariableKind kind = VariableKind.State) => AddBytes(new(name, TensorType.Byte(shape), kind), initial);

    /// <summary>Adds a variable of zeros.</summary>
    public Variable AddZeros(string name, TensorType type, VariableKind kind = VariableKind.State) => AddBytes(new(name, type, kind), []);

    /// <summary>Adds a variable that lies in memory there is: a host's, which its device has wrapped. Programs read and write it there; nothing is copied.</summary>
    /// <param name="name">Unique path.</param>
    /// <param name="type">What lies there, row-major from the first byte.</param>
    /// <param name="memory">A buffer of the state's device, of at least the type's bytes. The state disposes it.</param>
    /// <param name="kind">What it is for.</param>
    /// <exception cref="ShapeException">The memory is too small.</exception>
    public Variable Add(string name, TensorType type, Buffer memory, VariableKind kind = VariableKind.Data)
    {
        if (memory.Bytes < type.Bytes) throw new ShapeException($"variable {name} is {type}, {type.Bytes} bytes; its memory has {memory.Bytes}");
        return Add(new Variable(name, type, kind), () => memory);
    }

    private Variable AddBytes(Variable variable, ReadOnlySpan<byte> initial)
    {
        if (initial.Length > 0 && initial.Length != variable.Type.Bytes) throw new ShapeException($"variable {variable.Name} is {variable.Type}, {variable.Type.Bytes} bytes; got {initial.Length}");
        Add(variable, () => Device.Allocate(variable.Type.Bytes));
        if (initial.Length > 0) BufferOf(variable.Name).Write(initial);
        return variable;
    }

    private Variable Add(Variable variable, Func<Buffer> memory)
    {
        if (_variables.ContainsKey(variable.Name)) throw new ArgumentException($"variable {variable.Name} exists already");
        _variables.Add(variable.Name, (variable, memory()));
        _order.Add(variable);
        return variable;
    }

    /// <summary>Traces a function into a graph and compiles it: <see cref="Program.Trace"/>, for files with top-level statements, in which the name
    /// Program is taken by the compiler.</summary>
    public Program Compile(Action<Graph> trace, CompileOptions? options = null) => Program.Trace(this, trace, options);

    /// <summary>Whether there is a variable of that name.</summary>
    public bool Contains(string name) => _variables.ContainsKey(name);

    /// <summary>The variable of that name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public Variable this[string name] => Find(name).Variable;

    /// <summary>The elements of a float variable.</summary>
    public float[] Read(string name) => ReadAs<float>(name, DType.F32);

    /// <summary>The elements of an int variable.</summary>
    public int[] ReadInts(string name) => ReadAs<int>(name, DType.I32);

    /// <summary>The bytes of a variable of any type.</summary>
    public byte[] ReadBytes(string name) => ReadAs<byte>(name, Find(name).Variable.Type.DType);

    /// <summary>Replaces the elements of a float variable.</summary>
    public void Write(string name, ReadOnlySpan<float> values) => WriteAs(name, DType.F32, MemoryMarshal.AsBytes(values));

    /// <summary>Replaces the elements of an int variable.</summary>
    public void Write(string name, ReadOnlySpan<int> values) => WriteAs(name, DType.I32, MemoryMarshal.AsBytes(values));

    /// <summary>Replaces the elements of a variable of bytes, 0..255, or of a boolean one, 0 or 1.</summary>
    public void Write(string name, ReadOnlySpan<byte> values) => WriteAs(name, ByteType(name), values);

    /// <summary>Replaces part of the elements of a float variable.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="from">First element to replace, row-major.</param>
    /// <param name="values">The new elements.</param>
    /// <exception cref="ShapeException">The variable has another element type, or elements beyond its last are meant.</exception>
    public void WriteAt(string name, long from, ReadOnlySpan<float> values) => Part(name, DType.F32, from, values.Length).Write(MemoryMarshal.AsBytes(values), from * sizeof(float));

    /// <summary>Replaces part of the elements of an int variable.</summary>
    /// <inheritdoc cref="WriteAt(string, long, ReadOnlySpan{float})"/>
    public void WriteAt(string name, long from, ReadOnlySpan<int> values) => Part(name, DType.I32, from, values.Length).Write(MemoryMarshal.AsBytes(values), from * sizeof(int));

    /// <summary>Replaces part of the elements of a variable of bytes, 0..255, or of a boolean one, 0 or 1.</summary>
    /// <inheritdoc cref="WriteAt(string, long, ReadOnlySpan{float})"/>
    public void WriteAt(string name, long from, ReadOnlySpan<byte> values) => Part(name, ByteType(name), from, values.Length).Write(values, from);

    /// <summary>Reads part of the elements of a float variable.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="from">First element to read, row-major.</param>
    /// <param name="destination">Where they go; its length is their number.</param>
    /// <exception cref="ShapeException">The variable has another element type, or elements beyond its last are meant.</exception>
    public void ReadAt(string name, long from, Span<float> destination) => Part(name, DType.F32, from, destination.Length).Read(MemoryMarshal.AsBytes(destination), from * sizeof(float));

    /// <summary>Reads part of the elements of an int variable.</summary>
    /// <inheritdoc cref="ReadAt(string, long, Span{float})"/>
    public void ReadAt(string name, long from, Span<int> destination) => Part(name, DType.I32, from, destination.Length).Read(MemoryMarshal.AsBytes(destination), from * sizeof(int));

    /// <summary>Reads part of the elements of a variable of bytes, or of a boolean one.</summary>
    /// <inheritdoc cref="ReadAt(string, long, Span{float})"/>
    public void ReadAt(string name, long from, Span<byte> destination) => Part(name, ByteType(name), from, destination.Length).Read(destination, from);

    /// <summary>Replaces part of the bytes of a variable of any type.</summary>
    public void WriteBytesAt(string name, long from, ReadOnlySpan<byte> values) => Bytes(name, from, values.Length).Write(values, from);

    /// <summary>Reads part of the bytes of a variable of any type.</summary>
    public void ReadBytesAt(string name, long from, Span<byte> values) => Bytes(name, from, values.Length).Read(values, from);

    private Buffer Bytes(string name, long from, int count)
    {
        var (variable, buffer) = Find(name);
        return from >= 0 && from <= variable.Type.Bytes - count ? buffer : throw new ShapeException($"variable {name} is {variable.Type}, {variable.Type.Bytes} bytes; got bytes {from} to {from + count}");
    }

    /// <summary>Replaces the bytes of a variable of any type.</summary>
    public void WriteBytes(string name, ReadOnlySpan<byte> values) => WriteAs(name, Find(name).Variable.Type.DType, values);

    /// <summary>What bytes are written to or read from: U8, or Bool.</summary>
    private DType ByteType(string name) => Find(name).Variable.Type.DType == DType.Bool ? DType.Bool : DType.U8;

    /// <summary>The memory of a variable, of which elements are written or read.</summary>
    private Buffer Part(string name, DType type, long from, int count)
    {
        var (variable, buffer) = Find(name);
        if (variable.Type.DType != type || from < 0 || from > variable.Type.Elements - count) throw new ShapeException($"variable {name} is {variable.Type}, {variable.Type.Elements} elements; got {type} elements {from} to {from + count}");
        return buffer;
    }

    private T[] ReadAs<T>(string name, DType type) where T : unmanaged
    {
        var (variable, buffer) = Find(name);
        if (variable.Type.DType != type) throw new ShapeException($"variable {name} is {variable.Type}, not {type}");
        var bytes = new byte[variable.Type.Bytes];
        buffer.Read(bytes);
        return MemoryMarshal.Cast<byte, T>(bytes).ToArray();
    }

    private void WriteAs(string name, DType type, ReadOnlySpan<byte> bytes)
    {
        var (variable, buffer) = Find(name);
        if (variable.Type.DType != type || variable.Type.Bytes != bytes.Length) throw new ShapeException($"variable {name} is {variable.Type}, {variable.Type.Bytes} bytes; got {bytes.Length} bytes of {type}");
        buffer.Write(bytes);
    }

    private (Variable Variable, Buffer Buffer) Find(string name) =>
        _variables.TryGetValue(name, out var found) ? found : throw new KeyNotFoundException($"no variable {name} in this state");

    internal Buffer BufferOf(string name) => Find(name).Buffer;

    internal void NeedArena(long bytes)
    {
        if (_arena is not null && _arena.Bytes >= bytes) return;
        long before = ArenaBytes;
        _arena?.Dispose();
        _arena = null;
        try
        {
            _arena = Device.Allocate(bytes);
        }
        catch when (before > 0)
        {
            _arena = Device.Allocate(before); // the programs that are there still run
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _arena?.Dispose();
        _arena = null;
        foreach (var (_, buffer) in _variables.Values) buffer.Dispose();
    }
}
