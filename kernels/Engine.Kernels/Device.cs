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
