namespace Engine.Kernels.Cpu;

/// <summary>Targets over windows: window by window, in the order of the op's definition.</summary>
internal sealed unsafe class ChunkedBackupKernel : CpuKernel
{
    private const int WindowsPerChunk = 4096;

    private readonly ChunkedBackup _op;
    private readonly int _rows, _windows, _members, _counted, _bins, _rank;
    private readonly float _within, _discount, _share, _beyond, _low, _width;
    private readonly bool _some;

    public ChunkedBackupKernel(ChunkedBackup op, TensorType[] inputs)
    {
        (_op, _rows, _windows, _members, _some) = (op, inputs[0].Shape[0], inputs[2].Shape[0], inputs[4].Shape[0], inputs.Length == 6);
        _counted = _some ? inputs[5].Shape[0] : _members;
        _bins = inputs[4].Shape.Rank == 3 ? inputs[4].Shape[2] : 0;
        (_rank, double beyond) = op.QuantilePlace(_counted);
        (_within, _discount, _share, _beyond) = ((float)op.Within, (float)op.Discount, (float)(1.0 / _counted), (float)beyond);
        (_low, _width) = ((float)op.Low, (float)((op.High - op.Low) / Math.Max(1, _bins)));
        int perChunk = Math.Max(1, WindowsPerChunk / Math.Max(1, _bins * _counted / 8));
        Chunks = Math.Max(1, (_windows + perChunk - 1) / perChunk);
        ScratchBytes = sizeof(float) * ((long)_counted + _bins);
    }

    public override void RunChunk(int chunk, void** operands, byte* scratch)
    {
        float* rewards = (float*)operands[0], terminals = (float*)operands[1], values = (float*)operands[4];
        int* first = (int*)operands[2], left = (int*)operands[3], members = _some ? (int*)operands[5] : null;
        float* targets = (float*)operands[_some ? 6 : 5], known = (float*)operands[_some ? 7 : 6];
        for (int m = 0; m < _counted && _some; m++) ChunkedBackup.CheckMember(members[m], _members);
        int end = (int)((long)_windows * (chunk + 1) / Chunks);
        for (int i = (int)((long)_windows * chunk / Chunks); i < end; i++)
        {
            int row = first[i], most = Math.Min(_op.Length, left[i]), taken = 0;
            ChunkedBackup.CheckRow(row, _rows);
            float sum = 0, power = 1, following = 1;
            bool ended = false;
            while (taken < most && !ended)
            {
                sum += power * rewards[row];
                power *= _within;
                following *= _discount;
                ended = terminals[row] > 0;
                taken++;
                row += _op.Stride;
                if (row >= _rows) row %= _rows;
            }
            if (!ended) sum += following * Reduced(values + (_bins == 0 ? i : (long)i * _bins), members, (float*)scratch);
            targets[i] = sum;
            known[i] = ended || taken == _op.Length ? 1 : 0;
        }
    }

    private float Reduced(float* values, int* members, float* scratch)
    {
        long step = (long)_windows * Math.Max(1, _bins);
        float result = 0;
        for (int k = 0; k < _counted; k++)
        {
            float* at = values + (members is null ? k : members[k]) * step;
            float value = _bins == 0 ? *at : Expectation(at, new Span<float>(scratch + _counted, _bins));
            if (_op.Members == MemberReduction.Quantile) scratch[k] = value;
            else if (k == 0) result = value;
            else result = _op.Members == MemberReduction.Mean ? result + value : MathF.Min(result, value);
        }
        if (_op.Members == MemberReduction.Min) return result;
        if (_op.Members == MemberReduction.Mean) return result * _share;
        var sorted = new Span<float>(scratch, _counted);
        sorted.Sort();
        return sorted[_rank] + _beyond * (sorted[Math.Min(_rank + 1, _counted - 1)] - sorted[_rank]);
    }

    private float Expectation(float* logits, Span<float> powers)
    {
        float largest = logits[0], sum = 0, weighted = 0;
        for (int j = 1; j < _bins; j++) largest = MathF.Max(largest, logits[j]);
        BinaryLoops.Run(BinaryKind.Subtract, new ReadOnlySpan<float>(logits, _bins), largest, powers);
        UnaryLoops.Run(UnaryKind.Exp, powers, powers);
        for (int j = 0; j < _bins; j++)
        {
            sum += powers[j];
            weighted += powers[j] * (_low + _width * (j + 0.5f));
        }
        return weighted / sum;
    }
}
