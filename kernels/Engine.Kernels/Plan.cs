namespace Engine.Kernels;

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
