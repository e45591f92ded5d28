namespace Engine.Interop.Hdf5;

/// <summary>A dataspace message: the sizes of the axes, and the number of elements (0 for a null dataspace, 1 for a scalar).</summary>
internal sealed record Hdf5Dataspace(long[] Shape, long Count)
{
    /// <summary>The greatest size of an axis that may grow without end.</summary>
    public const long Unlimited = -1;

    public const int MaximumRank = 32;

    /// <summary>What the axes may grow to: it orders the chunks of some indices. <see cref="Unlimited"/> for no end.</summary>
    public required long[] Maximum { get; init; }

    public static Hdf5Dataspace Parse(ref Hdf5Cursor cursor)
    {
        var version = cursor.U8();
        int rank = cursor.U8();
        var flags = cursor.U8();
        if (version is < 1 or > 2)
            throw cursor.Fail($"version {version} is not supported; expected 1 or 2");
        if (rank > MaximumRank)
            throw cursor.Fail($"there are {rank} axes; expected at most {MaximumRank}");
        if (version == 1)
            cursor.Skip(5);
        else if (cursor.U8() == 2)
            return new Hdf5Dataspace([], 0) { Maximum = [] };
        var shape = new long[rank];
        for (var i = 0; i < rank; i++)
            shape[i] = cursor.Length();
        var maximum = (long[])shape.Clone();
        for (var i = 0; i < rank && (flags & 1) != 0; i++)
            maximum[i] = cursor.LengthOrUnlimited();
        var count = 1L;
        try
        {
            foreach (var size in shape)
                count = checked(count * size);
        }
        catch (OverflowException)
        {
            throw cursor.Fail($"the shape [{string.Join(", ", shape)}] has more elements than 63 bits can count");
        }
        return new Hdf5Dataspace(shape, count) { Maximum = maximum };
    }
}
