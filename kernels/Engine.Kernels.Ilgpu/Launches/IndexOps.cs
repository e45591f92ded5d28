using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Ops that look rows up or put them in. Of several updates for one row, the work-item of the first does all in their order: no atomics, so that sums are the same every time.</summary>
internal static class IndexOps
{
    private static KernelSource Of(string name, params Type[] arguments) => KernelSource.Of(typeof(IndexOps), name, arguments);

    /// <summary>Rows of the table. An index outside it gives NaN, -1, 0 or false, for a device cannot throw.</summary>
    public static KernelPlan Gather(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        int rows = inputs[0].Shape[0];
        long width = outputs[0].Elements / inputs[1].Elements;
        int fill = inputs[0].DType switch { DType.F32 => 0x7FC00000, DType.I32 => -1, DType.BF16 => 0x7FC0, _ => 0 };
        return new("an element a work-item", [new(Of(nameof(GatherElement), Movement.Element(inputs[0].DType.Bytes())), outputs[0].Elements, [Operand(0), Operand(1), Operand(2), rows, (int)width, fill])]);
    }

    /// <summary>Sums of updates by row, in their order. An index outside the rows is left out, for a device cannot throw.</summary>
    public static KernelPlan ScatterAdd(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        int rows = ((ScatterAdd)op).Rows, count = (int)inputs[0].Elements;
        long width = outputs[0].Elements / rows;
        return new("the first of equals adds", [Movement.Fill(outputs[0], 0, Operand(2)), new(Of(nameof(AddRows)), inputs[1].Elements, [Operand(0), Operand(1), Operand(2), count, rows, (int)width])]);
    }

    /// <summary>Rows put into a table; in the table's own memory nothing else is touched. An index outside the rows is left out, for a device cannot throw.</summary>
    public static KernelPlan SetRows(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        int rows = inputs[0].Shape[0], count = (int)inputs[1].Elements;
        long bytes = outputs[0].Bytes / rows;
        int size = bytes % 4 == 0 ? 4 : 1;
        return new("the last of equals writes", [Movement.Copy(outputs[0].Bytes, Operand(0), Operand(3)) with { Apart = (0, 3) },
            new(Of(nameof(SetRow), Movement.Element(size)), count * (bytes / size), [Operand(1), Operand(2), Operand(3), count, rows, (int)(bytes / size)])]);
    }

    // Device code; i is the work-item.

    private static void GatherElement<T>(int i, ArrayView<T> table, ArrayView<int> indices, ArrayView<T> y, int rows, int width, T outside) where T : unmanaged
    {
        int row = indices[i / width];
        T value = outside;
        if (row >= 0 && row < rows) value = table[row * width + i % width];
        y[i] = value;
    }

    private static void AddRows(int i, ArrayView<int> indices, ArrayView<float> updates, ArrayView<float> y, int count, int rows, int width)
    {
        int own = i / width, column = i % width, row = indices[own];
        if (row < 0 || row >= rows) return;
        for (int k = 0; k < own; k++)
            if (indices[k] == row) return;
        float sum = 0f;
        for (int k = own; k < count; k++)
            if (indices[k] == row) sum += updates[k * width + column];
        y[row * width + column] = sum;
    }

    private static void SetRow<T>(int i, ArrayView<int> indices, ArrayView<T> values, ArrayView<T> y, int count, int rows, int width) where T : unmanaged
    {
        int own = i / width, row = indices[own];
        if (row < 0 || row >= rows) return;
        for (int k = own + 1; k < count; k++)
            if (indices[k] == row) return;
        y[row * width + i % width] = values[i];
    }
}
