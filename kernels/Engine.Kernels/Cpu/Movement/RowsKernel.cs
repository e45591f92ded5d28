namespace Engine.Kernels.Cpu;

/// <summary>A kernel whose output is walked in rows; each chunk is a range of output elements.</summary>
internal abstract unsafe class RowsKernel(BroadcastRows rows) : CpuKernel
{
    protected readonly BroadcastRows Rows = rows;

    /// <summary>Sets the chunks; called by constructors.</summary>
    protected static int RowChunks(BroadcastRows rows) => ChunksFor(rows.Total);

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        long at = (long)chunk * ElementsPerChunk, end = Math.Min(Rows.Total, at + ElementsPerChunk);
        while (at < end)
        {
            long row = at / Rows.Inner, column = at - row * Rows.Inner;
            int length = (int)Math.Min(Rows.Inner - column, end - at);
            RunRow(operands, row, column, at, length);
            at += length;
        }
    }

    /// <summary>Computes <paramref name="length"/> elements from output element <paramref name="at"/> on, which is column <paramref name="column"/> of a row.</summary>
    protected abstract void RunRow(void** operands, long row, long column, long at, int length);

    /// <summary>Offset of an operand's element at a column of a row.</summary>
    protected long At(int operand, long row, long column) => Rows.Offset(operand, row) + column * Rows.InnerStrides[operand];
}
