namespace Engine.Kernels.Cpu;

/// <summary>
/// Rows are sorted by member; those of one member are gathered, multiplied as one product and put where they belong. A chunk takes a stretch of the sorted rows, so that the
/// work is even however the members are chosen; a row's bits do not depend on the rows it shares a product with.
/// </summary>
internal sealed unsafe class MemberMatMulKernel : CpuKernel
{
    // As many rows share the packing of a matrix, and their copies stay in the second-level cache.
    private const int RowsAtOnce = 256;

    private readonly GemmPlan _plan;
    private readonly int _m, _n, _k, _members, _rowsPerChunk;
    private readonly bool _mask;
    private readonly long _orderBytes, _aBytes, _cBytes;

    public MemberMatMulKernel(MemberMatMul op, TensorType[] inputs, TensorType output)
    {
        (_m, _n, _k, _members, _mask) = (output.Shape[0], output.Shape[1], inputs[0].Shape[1], inputs[1].Shape[0], op.Mask);
        // At least two rows: a plan for one would sum in another order than the product of the whole ensemble.
        int rows = Math.Clamp(_m, 2, RowsAtOnce);
        _plan = new GemmPlan(rows, _n, _k, false, op.TransposeB, _k, op.TransposeB ? _k : _n, _n, GemmEpilogue.None);
        _rowsPerChunk = Math.Max(64, (_m / 16 + 63) / 64 * 64);
        Chunks = Math.Max(1, (_m + _rowsPerChunk - 1) / _rowsPerChunk);
        (_orderBytes, _aBytes, _cBytes) = (Align(sizeof(int) * (long)(_m + _members + 1)), Align(sizeof(float) * (long)rows * _k), Align(sizeof(float) * (long)rows * _n));
        ScratchBytes = _orderBytes + _aBytes + _cBytes + _plan.ScratchBytes;
    }

    public override string Variant => _plan.Variant;

    private static long Align(long bytes) => (bytes + 63) / 64 * 64;

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        float* a = (float*)operands[0], b = (float*)operands[1], mask = (float*)operands[3], c = (float*)operands[_mask ? 4 : 3];
        int* order = (int*)scratch, ends = order + _m;
        float* aRows = (float*)(scratch + _orderBytes), cRows = (float*)(scratch + _orderBytes + _aBytes);
        byte* rest = scratch + ScratchBytes - _plan.ScratchBytes;
        Sort((int*)operands[2], order, ends);
        int to = Math.Min(_m, (chunk + 1) * _rowsPerChunk);
        for (int from = chunk * _rowsPerChunk, member = 0; from < to;)
        {
            while (ends[member] <= from) member++;
            int rows = Math.Min(Math.Min(ends[member], to) - from, RowsAtOnce);
            Simd.Dispatch(Simd.Best, new Gather(a, order + from, aRows, rows, _k));
            _plan.RunRows(rows, aRows, b + (long)member * _k * _n, cRows, rest);
            Simd.Dispatch(Simd.Best, new Scatter(cRows, order + from, c, _mask ? mask + (long)member * _m * _n : null, rows, _n));
            from += rows;
        }
    }

    private readonly struct Gather(float* matrix, int* order, float* together, int rows, int width) : ILaneWork
    {
        public void Run<T>() where T : unmanaged, ILanes<T>
        {
            for (nint i = 0; i < rows; i++) GemmBeside<T>.Apply(matrix + (nint)order[i] * width, together + i * width, null, null, width);
        }
    }

    private readonly struct Scatter(float* together, int* order, float* matrix, float* mask, int rows, int width) : ILaneWork
    {
        public void Run<T>() where T : unmanaged, ILanes<T>
        {
            for (nint i = 0; i < rows; i++)
            {
                nint at = (nint)order[i] * width;
                GemmBeside<T>.Apply(together + i * width, matrix + at, null, mask is null ? null : mask + at, width);
            }
        }
    }

    /// <summary>The rows by member, in order within each; and where each member's rows end.</summary>
    private void Sort(int* member, int* order, int* ends)
    {
        new Span<int>(ends, _members + 1).Clear();
        for (int i = 0; i < _m; i++)
        {
            if ((uint)member[i] >= (uint)_members) throw new ArgumentOutOfRangeException(nameof(member), $"member_matmul: member {member[i]} is outside 0..{_members - 1}");
            ends[member[i] + 1]++;
        }
        for (int e = 0; e < _members; e++) ends[e + 1] += ends[e];
        // ends[e] is now where member e begins, and moves to where it ends while its rows are placed.
        for (int i = 0; i < _m; i++) order[ends[member[i]]++] = i;
    }
}
