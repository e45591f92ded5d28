using System.Runtime.CompilerServices;
using Engine.Kernels.Cpu;
using Engine.Kernels.Ilgpu.Elementwise;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Targets of temporal differences, a work-item a window, in the order of the op's definition. A row or member that there is not gives NaN, for a device cannot throw.</summary>
internal static class Backups
{
    public static KernelPlan ChunkedBackup(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var backup = (ChunkedBackup)op;
        bool some = inputs.Length == 6;
        int members = inputs[4].Shape[0], counted = some ? inputs[5].Shape[0] : members, bins = inputs[4].Shape.Rank == 3 ? inputs[4].Shape[2] : 0, target = some ? 6 : 5;
        var (rank, beyond) = backup.QuantilePlace(counted);
        var source = KernelSource.Of(typeof(Backups), nameof(Window));
        return new("a window a work-item", [new(source, outputs[0].Elements, [Operand(0), Operand(1), Operand(2), Operand(3), Operand(4), Operand(some ? 5 : 2), Operand(target), Operand(target + 1),
            some ? 1 : 0, (int)outputs[0].Elements, (int)inputs[0].Elements, backup.Length, backup.Stride, (float)backup.Within, (float)backup.Discount, members, counted, bins, (float)backup.Low,
            (float)((backup.High - backup.Low) / Math.Max(1, bins)), (int)backup.Members, rank, (float)beyond, (float)(1.0 / counted)])]);
    }

    // Device code; i is the work-item.

    private static void Window(int i, ArrayView<float> rewards, ArrayView<float> terminals, ArrayView<int> first, ArrayView<int> left, ArrayView<float> values, ArrayView<int> picked, ArrayView<float> targets, ArrayView<float> known,
        int some, int windows, int rows, int length, int stride, float within, float discount, int members, int counted, int bins, float low, float width, int kind, int rank, float beyond, float share)
    {
        int row = first[i], most = left[i] < length ? left[i] : length, taken = 0;
        bool inside = row >= 0 && row < rows, ended = false;
        if (!inside) most = 0;
        float sum = inside ? 0f : float.NaN, power = 1f, following = 1f;
        while (taken < most && !ended)
        {
            sum += power * rewards[row];
            power *= within;
            following *= discount;
            ended = terminals[row] > 0f;
            taken++;
            row = (row + stride) % rows;
        }
        if (!ended)
        {
            float value;
            if (kind == (int)MemberReduction.Quantile)
            {
                float below = Ranked(values, picked, some, rank, windows, members, counted, bins, low, width, i);
                float above = rank + 1 < counted ? Ranked(values, picked, some, rank + 1, windows, members, counted, bins, low, width, i) : below;
                value = below + beyond * (above - below);
            }
            else
            {
                value = Value(values, picked, some, 0, windows, members, bins, low, width, i);
                for (int k = 1; k < counted; k++)
                {
                    float other = Value(values, picked, some, k, windows, members, bins, low, width, i);
                    value = kind == (int)MemberReduction.Mean ? value + other : ScalarLanes.Min(ScalarLanes.Create(value), ScalarLanes.Create(other)).Float;
                }
                if (kind == (int)MemberReduction.Mean) value *= share;
            }
            sum += following * value;
        }
        targets[i] = sum;
        known[i] = ended || taken == length ? 1f : 0f;
    }

    /// <summary>The member of a rank: as many are smaller, or equal and before it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Ranked(ArrayView<float> values, ArrayView<int> picked, int some, int rank, int windows, int members, int counted, int bins, float low, float width, int window)
    {
        float result = float.NaN;
        for (int k = 0; k < counted; k++)
        {
            float value = Value(values, picked, some, k, windows, members, bins, low, width, window);
            int before = 0;
            for (int other = 0; other < counted; other++)
            {
                float x = Value(values, picked, some, other, windows, members, bins, low, width, window);
                if (x < value || (x == value && other < k)) before++;
            }
            if (before == rank) result = value;
        }
        return result;
    }

    /// <summary>The value of the k-th member that counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Value(ArrayView<float> values, ArrayView<int> picked, int some, int k, int windows, int members, int bins, float low, float width, int window)
    {
        int member = some != 0 ? picked[k] : k;
        if (member < 0 || member >= members) return float.NaN;
        int at = member * windows + window;
        return bins == 0 ? values[at] : Expectation(values, at * bins, bins, low, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Expectation(ArrayView<float> logits, int at, int bins, float low, float width)
    {
        float largest = logits[at], sum = 0f, weighted = 0f;
        for (int j = 1; j < bins; j++) largest = ScalarLanes.Max(ScalarLanes.Create(largest), ScalarLanes.Create(logits[at + j])).Float;
        for (int j = 0; j < bins; j++)
        {
            float e = VectorMath.Exp(ScalarLanes.Create(logits[at + j] - largest)).Float;
            sum += e;
            weighted += e * (low + width * (j + 0.5f));
        }
        return weighted / sum;
    }
}
