namespace Engine.Kernels;

/// <summary>A device's measured limits.</summary>
/// <param name="GflopsPerSecond">Multiply-adds in registers, 2 FLOP each.</param>
/// <param name="RootDivisionsPerSecond">Square roots and divisions in registers, one of each an element, in 1e9 elements: what limits Adam where its operands are near.</param>
/// <param name="Levels">Where operands may lie: the caches from the smallest, then memory. At least one.</param>
public sealed record Roofline(double GflopsPerSecond, double RootDivisionsPerSecond, params IReadOnlyList<MemoryLevel> Levels)
{
    /// <summary>The smallest level that holds so many bytes.</summary>
    public MemoryLevel LevelOf(double bytes) => Levels.FirstOrDefault(l => bytes <= l.Bytes) ?? Levels[^1];

    /// <summary>
    /// The time of a kernel at the limit: its arithmetic at the peak, or its operands through the smallest level that holds them all, whichever takes longer. A kernel whose operands were left
    /// further away by others cannot reach it; one with some of them nearer may beat it a little.
    /// </summary>
    /// <param name="flops">Floating-point operations.</param>
    /// <param name="traffic">Its operands.</param>
    public double Seconds(double flops, Traffic traffic) => Math.Max(flops / (GflopsPerSecond * 1e9), LevelOf(traffic.Distinct).Seconds(traffic));
}

/// <summary>The operands of a kernel, in bytes.</summary>
/// <param name="Read">All that is read.</param>
/// <param name="Written">All that is written.</param>
/// <param name="InPlace">As much of it is written over what was read.</param>
public readonly record struct Traffic(double Read, double Written, double InPlace = 0)
{
    /// <summary>Read and written.</summary>
    public double Bytes => Read + Written;

    /// <summary>What a cache must hold for all of it.</summary>
    public double Distinct => Read + Written - InPlace;

    /// <summary>The operands of a kernel call: each is counted once and whole. Of a kernel that gathers rows, or takes some members of an ensemble, that is more than it touches. An update in place is what it replaces.</summary>
    public static Traffic Of(KernelCall call)
    {
        if (call.Op is SetRows && (call.Inputs[0].Slot, call.Inputs[0].Offset) == (call.Outputs[0].Slot, call.Outputs[0].Offset))
            return new(call.Inputs[1].Type.Bytes + call.Inputs[2].Type.Bytes, call.Inputs[2].Type.Bytes);
        double inPlace = call.Outputs.Where(o => call.Inputs.Any(i => i.Slot == o.Slot && i.Offset == o.Offset)).Sum(o => (double)o.Type.Bytes);
        return new(call.Inputs.Sum(o => (double)o.Type.Bytes), call.Outputs.Sum(o => (double)o.Type.Bytes), inPlace);
    }
}

/// <summary>How fast a level of the memory hierarchy is, measured with operands of half its size or less. Rates are in GB/s of all threads together.</summary>
/// <param name="Name">L1, L2, L3 or memory.</param>
/// <param name="Bytes">What it holds, all threads together.</param>
/// <param name="Read">Reading alone.</param>
/// <param name="Write">Writing alone, by plain stores: where a line is not in a cache it is read first.</param>
/// <param name="Copy">Reading here and writing there, every byte counted twice.</param>
/// <param name="Update">Reading and writing the same addresses, every byte counted twice.</param>
public sealed record MemoryLevel(string Name, long Bytes, double Read, double Write, double Copy, double Update)
{
    /// <summary>The time of such traffic: what is written over itself at the rate of an update, other pairs of a read and a write at that of a copy, the rest as reads or writes.</summary>
    public double Seconds(Traffic traffic)
    {
        double read = traffic.Read - traffic.InPlace, written = traffic.Written - traffic.InPlace, pairs = Math.Min(read, written);
        return (2 * traffic.InPlace / Update + 2 * pairs / Copy + (read - pairs) / Read + (written - pairs) / Write) / 1e9;
    }
}
