namespace Engine.Kernels;

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
