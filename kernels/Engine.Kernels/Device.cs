namespace Engine.Kernels;

/// <summary>Where programs run: allocates memory and turns a <see cref="Plan"/> into something that executes.</summary>
public abstract class Device : IDisposable
{
    /// <summary>The name on the command line, such as <c>cpu</c>.</summary>
    public abstract string Name { get; }

    /// <summary>One line for people: what silicon, how wide, how many threads.</summary>
    public abstract string Description { get; }

    /// <summary>Memory for <paramref name="bytes"/> bytes, zeroed, aligned to 64.</summary>
    public abstract Buffer Allocate(long bytes);

    /// <summary>Whether the device has a kernel for the op at these types. A composite without one runs by its definition; a
    /// primitive without one is a compile-time error.</summary>
    public abstract bool Implements(Op op, TensorType[] inputs, TensorType[] outputs);

    /// <summary>Whether a pass should fuse simpler ops into this one here: the device implements it, and it is no slower than what it replaces.</summary>
    public virtual bool Prefers(Op op, TensorType[] inputs, TensorType[] outputs) => Implements(op, inputs, outputs);

    /// <summary>Prepares a plan for execution.</summary>
    public abstract Executable Load(Plan plan);

    /// <summary>Threads of the host that may work for a program of this device: those that compute, or all where another processor computes.</summary>
    public virtual int Threads => Environment.ProcessorCount;

    /// <summary>Whether independent kernels of a plan run concurrently. The memory plan then gives a small value no memory that would make it wait for its last users.</summary>
    public virtual bool Concurrent => false;

    /// <summary>How precisely products of matrices are computed by what is loaded from now on. Default: float32, the only one that every device knows.</summary>
    /// <exception cref="DeviceException">The device does not know it.</exception>
    public virtual Precision Precision
    {
        get => Precision.Float32;
        set
        {
            if (value != Precision.Float32) throw new DeviceException($"precision {value.Name()}: device {Name} computes in float32 only; tf32 and bfloat16 need device cuda and a GPU of compute capability 8.0 or above");
        }
    }

    /// <summary>Whether its memory holds what is written. Where it does not, initial values need not be drawn.</summary>
    public virtual bool HoldsData => true;

    /// <summary>Waits until what was run is done. Reading a buffer waits by itself.</summary>
    public virtual void Synchronize() { }

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}

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

/// <summary>A loaded plan. One at a time: a host that runs in parallel loads the plan once per session.</summary>
public abstract class Executable : IDisposable
{
    /// <summary>Runs once. Allocates nothing, starts no thread.</summary>
    /// <param name="slots">Base address of every slot of the plan.</param>
    public abstract void Run(ReadOnlySpan<nint> slots);

    /// <summary>Runs once and returns the time each kernel took, in the plan's order (a loop's body summed over its steps).</summary>
    public abstract KernelTime[] Profile(ReadOnlySpan<nint> slots);

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>What one kernel of a plan took.</summary>
/// <param name="Instruction">The kernel call.</param>
/// <param name="Variant">Which implementation.</param>
/// <param name="Calls">How often it ran.</param>
/// <param name="Seconds">All calls together.</param>
/// <param name="Depth">Loops around it.</param>
public sealed record KernelTime(KernelCall Instruction, string Variant, int Calls, double Seconds, int Depth);

/// <summary>Where a kernel finds a tensor: an offset in bytes from the base of a slot, bound when a plan runs.</summary>
/// <param name="Slot">Number of the slot.</param>
/// <param name="Offset">Bytes from its base.</param>
/// <param name="Type">What lies there.</param>
public readonly record struct Operand(int Slot, long Offset, TensorType Type);

/// <summary>One step of a plan.</summary>
public abstract record Instruction;

/// <summary>Runs an op.</summary>
/// <param name="Op">The op.</param>
/// <param name="Inputs">Its inputs.</param>
/// <param name="Outputs">Its outputs.</param>
public sealed record KernelCall(Op Op, Operand[] Inputs, Operand[] Outputs) : Instruction
{
    /// <summary>Types of the inputs.</summary>
    public TensorType[] InputTypes => Array.ConvertAll(Inputs, o => o.Type);

    /// <summary>Types of the outputs.</summary>
    public TensorType[] OutputTypes => Array.ConvertAll(Outputs, o => o.Type);
}

/// <summary>Runs a body several times, writing the step number (I32) before each.</summary>
/// <param name="Max">Steps if there is no count, else the most steps; a count outside 0..Max is an error.</param>
/// <param name="Count">Where the number of steps lies.</param>
/// <param name="Index">Where to write the step number.</param>
/// <param name="Body">The steps.</param>
public sealed record Loop(int Max, Operand? Count, Operand Index, Instruction[] Body) : Instruction;

/// <summary>A flat list of kernel calls on fixed addresses: what a program becomes for a device.</summary>
/// <param name="Instructions">The steps in order.</param>
/// <param name="Slots">How many slots the operands name.</param>
public sealed record Plan(Instruction[] Instructions, int Slots);

/// <summary>A device cannot do what was asked; the message names the op and the device.</summary>
public sealed class DeviceException(string message) : Exception(message);
