namespace Engine.Kernels.Cuda;

/// <summary>A piece of memory: bytes [Start, End) of a slot.</summary>
internal readonly record struct MemoryRange(int Slot, long Start, long End)
{
    /// <summary>Where an operand lies.</summary>
    public static MemoryRange Of(Operand operand) => new(operand.Slot, operand.Offset, operand.Offset + operand.Type.Bytes);

    /// <summary>Whether they share a byte.</summary>
    public bool Meets(MemoryRange other) => Slot == other.Slot && Start < other.End && other.Start < End;
}

/// <summary>
/// The dependencies between a plan's steps: a step depends on the last writer of the memory it touches, and on the readers of the memory it writes. Independent steps may run concurrently or in any
/// order, and no bit depends on it.
/// </summary>
internal static class Dependencies
{
    /// <summary>For every step the earlier ones it depends on, without transitive edges.</summary>
    /// <param name="steps">What each reads and writes, in the plan's order.</param>
    public static int[][] Of(IReadOnlyList<(MemoryRange[] Reads, MemoryRange[] Writes)> steps)
    {
        var before = new int[steps.Count][];
        var behind = new ulong[steps.Count][]; // the transitive dependencies of a step, as bits
        int words = (steps.Count + 63) / 64;
        for (int step = 0; step < steps.Count; step++)
        {
            var (reads, writes) = steps[step];
            var all = behind[step] = new ulong[words];
            var direct = new List<int>();
            // From the latest: its dependencies need no edge of their own.
            for (int earlier = step - 1; earlier >= 0; earlier--)
            {
                if ((all[earlier / 64] >> (earlier % 64) & 1) != 0) continue;
                var (earlierReads, earlierWrites) = steps[earlier];
                if (!Meet(earlierWrites, reads) && !Meet(earlierWrites, writes) && !Meet(earlierReads, writes)) continue;
                direct.Add(earlier);
                all[earlier / 64] |= 1UL << (earlier % 64);
                for (int w = 0; w < words; w++) all[w] |= behind[earlier][w];
            }
            direct.Reverse();
            before[step] = direct.ToArray();
        }
        return before;
    }

    /// <summary>The number of steps on the critical path.</summary>
    public static int Depth(int[][] before)
    {
        var depth = new int[before.Length];
        for (int step = 0; step < before.Length; step++) depth[step] = 1 + before[step].Select(b => depth[b]).DefaultIfEmpty(0).Max();
        return depth.DefaultIfEmpty(0).Max();
    }

    private static bool Meet(MemoryRange[] a, MemoryRange[] b)
    {
        foreach (var x in a)
            foreach (var y in b)
                if (x.Meets(y)) return true;
        return false;
    }
}
