using static Engine.Kernels.Cuda.Launches.Launch;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>Ops that move elements: move.cu, transpose.cu, concat.cu, pad.cu, one_hot.cu, iota.cu, store_row.cu, windows.cu.</summary>
internal static class Movement
{
    private const int ConcatInputs = 8;

    /// <summary>How elements in another order are read.</summary>
    public static readonly Choice MoveKernels = new("MOVE", "strided", "tiles");

    public static CudaKernel Permute(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        var strides = inputs[0].Shape.Strides();
        return Move(outputs[0], ((Permute)op).Order.Select(axis => strides[axis]).ToArray(), 0);
    }

    public static CudaKernel Broadcast(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Move(outputs[0], inputs[0].Shape.BroadcastStrides(outputs[0].Shape), 0);

    public static CudaKernel Slice(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        var (strides, start) = ((Slice)op).Layout(inputs[0].Shape);
        return Move(outputs[0], strides, start);
    }

    /// <summary>The output's elements in order, each from where the strides say.</summary>
    private static CudaKernel Move(TensorType output, long[] strides, long start)
    {
        if (output.Elements == 0) return Nothing;
        var axes = Merge(output.Shape, strides);
        if (MoveKernels.Of(1) == 1 && Transpose(axes, output.DType, start) is { } transpose) return transpose;
        int count = axes.Count <= 4 ? 4 : 8;
        while (axes.Count < count) axes.Insert(0, (1, 0));
        string function = (count == 4 ? "move_" : "move_axes_") + output.DType.Bytes();
        return new("strided", [Over(output.Elements, function, [Operand(0), Operand(1), output.Elements, start,
            .. axes.Skip(1).Select(a => (KernelArgument)a.Size), .. axes.Select(a => (KernelArgument)a.Stride)])]);
    }

    /// <summary>The axes with those joined that are walked as one.</summary>
    private static List<(int Size, long Stride)> Merge(Shape shape, long[] strides)
    {
        var axes = new List<(int Size, long Stride)>();
        for (int i = 0; i < shape.Rank; i++)
        {
            if (shape[i] == 1) continue;
            if (axes.Count > 0 && axes[^1].Stride == strides[i] * shape[i] && (long)axes[^1].Size * shape[i] <= int.MaxValue) axes[^1] = (axes[^1].Size * shape[i], strides[i]);
            else axes.Add((shape[i], strides[i]));
        }
        return axes;
    }

    /// <summary>[..., m, n] to [..., n, m], where tiles of 32 by 32 pay off; else null.</summary>
    private static CudaKernel? Transpose(List<(int Size, long Stride)> axes, DType type, long start)
    {
        if (type.Bytes() != 4 || start != 0 || axes.Count is < 2 or > 3) return null;
        // The output is [batch, n, m]; m walks the input's rows.
        var ((n, step), (m, row)) = (axes[^2], axes[^1]);
        long batch = axes.Count == 3 ? axes[0].Size : 1;
        if (step != 1 || row != n || n < 16 || m < 16 || (axes.Count == 3 && axes[0].Stride != (long)m * n)) return null;
        int tall = Blocks(m, 32, "transpose");
        if (tall > 65535) return null;
        return new("transpose by tiles", [new("transpose", new(Blocks(n, 32, "transpose"), tall, (int)Math.Min(batch, 65535)), new(32, 8), [Operand(0), Operand(1), m, n, batch])]);
    }

    public static CudaKernel Concat(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var (outer, size, inner) = Indexing.Around(outputs[0].Shape, ((Concat)op).Axis);
        string function = $"concat_{outputs[0].DType.Bytes()}";
        var launches = new List<KernelLaunch>();
        long at = 0;
        for (int from = 0; from < inputs.Length; from += ConcatInputs)
        {
            int count = Math.Min(ConcatInputs, inputs.Length - from);
            var arguments = new KernelArgument[2 * ConcatInputs];
            long end = 0;
            for (int i = 0; i < ConcatInputs; i++)
            {
                if (i < count) end += inputs[from + i].Shape[((Concat)op).Axis] * inner;
                (arguments[i], arguments[ConcatInputs + i]) = (Operand(from + Math.Min(i, count - 1)), end);
            }
            if (end > 0) launches.Add(Over(outer * end, function, [.. arguments, Operand(inputs.Length), outer, at, size * inner]));
            at += end;
        }
        return new($"{inputs.Length} inputs", launches.ToArray());
    }

    public static CudaKernel Pad(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var pad = (Pad)op;
        var axes = new List<(long Size, long Before, long Inner)>();
        for (int i = 0; i < outputs[0].Shape.Rank; i++)
        {
            long size = outputs[0].Shape[i];
            // An axis without a border belongs to the one outside it.
            if (axes.Count > 0 && pad.Before[i] == 0 && pad.After[i] == 0) axes[^1] = (axes[^1].Size * size, axes[^1].Before * size, axes[^1].Inner * size);
            else axes.Add((size, pad.Before[i], inputs[0].Shape[i]));
        }
        int count = axes.Count <= 4 ? 4 : 8;
        while (axes.Count < count) axes.Insert(0, (1, 0, 1));
        int value = outputs[0].DType switch
        {
            DType.F32 => BitConverter.SingleToInt32Bits((float)pad.Value),
            DType.I32 => (int)pad.Value,
            DType.Bool => pad.Value != 0 ? 1 : 0,
            DType.U8 => UnsignedByte.FromDouble(pad.Value),
            _ => Bfloat16.FromSingle((float)pad.Value),
        };
        string function = (count == 4 ? "pad_" : "pad_axes_") + outputs[0].DType.Bytes();
        return new("border", [Over(outputs[0].Elements, function, [Operand(0), Operand(1), outputs[0].Elements, value,
            .. axes.Select(a => (KernelArgument)a.Size), .. axes.Select(a => (KernelArgument)a.Before), .. axes.Select(a => (KernelArgument)a.Inner)])]);
    }

    public static CudaKernel OneHot(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        outputs[0].Elements == 0 ? Nothing : new("elements", [Over(outputs[0].Elements, "one_hot", Operand(0), Operand(1), inputs[0].Elements, ((OneHot)op).Depth)]);

    public static CudaKernel Iota(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits)
    {
        if (outputs[0].Elements == 0) return Nothing;
        var (_, size, inner) = Indexing.Around(outputs[0].Shape, ((Iota)op).Axis);
        return new("elements", [Over(outputs[0].Elements, outputs[0].DType == DType.I32 ? "iota_int" : "iota_float", Operand(0), outputs[0].Elements, inner, size)]);
    }

    public static CudaKernel StoreRow(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        outputs[0].Elements == 0 ? Nothing
            : new("elements", [Over(inputs[0].Elements, $"store_row_{inputs[0].DType.Bytes()}", Operand(0), Operand(1), Operand(2), inputs[0].Elements, ((StoreRow)op).Rows)]);

    public static CudaKernel Unfold(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Windows("unfold", ((Unfold)op).Window, inputs[0].Shape, outputs[0].Elements);

    public static CudaKernel Fold(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        Windows("fold", ((Fold)op).Window, outputs[0].Shape, outputs[0].Elements);

    private static CudaKernel Windows(string function, Window w, Shape image, long elements)
    {
        if (elements == 0) return Nothing;
        var (height, width) = w.Output(image[2], image[3]);
        return new("elements", [Over(elements, function, Operand(0), Operand(1), elements, image[1], image[2], image[3], height, width,
            w.KernelHeight, w.KernelWidth, w.StrideHeight, w.StrideWidth, w.PadHeight, w.PadWidth, w.DilationHeight, w.DilationWidth)]);
    }
}
