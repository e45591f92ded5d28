using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>Ops that move elements without computing.</summary>
internal static class Movement
{
    private const int FewAxes = 3, MostAxes = Shape.MaxRank;

    /// <summary>The unsigned type of an element's size: elements are moved as those.</summary>
    public static Type Element(int bytes) => bytes switch { 4 => typeof(int), 2 => typeof(ushort), _ => typeof(byte) };

    private static KernelSource Of(string name, params Type[] arguments) => KernelSource.Of(typeof(Movement), name, arguments);

    public static KernelPlan Permute(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var strides = inputs[0].Shape.Strides();
        return new("strided", [Read(outputs[0], [.. ((Permute)op).Order.Select(axis => strides[axis])], 0, Operand(0), Operand(1))]);
    }

    public static KernelPlan Broadcast(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        new("strided", [Read(outputs[0], inputs[0].Shape.BroadcastStrides(outputs[0].Shape), 0, Operand(0), Operand(1))]);

    public static KernelPlan Slice(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var (strides, start) = ((Slice)op).Layout(inputs[0].Shape);
        return new("strided", [Read(outputs[0], strides, start, Operand(0), Operand(1))]);
    }

    /// <summary>Reads with these strides what is written in order.</summary>
    public static LaunchPlan Read(TensorType output, long[] strides, long start, Argument from, Argument to) => Strided(nameof(ReadFew), nameof(ReadMany), output, strides, start, from, to);

    private static LaunchPlan Strided(string few, string many, TensorType walked, long[] strides, long start, Argument from, Argument to)
    {
        var (sizes, steps) = FusedDomain.Walk(walked.Shape, strides);
        int axes = sizes.Length <= FewAxes ? FewAxes : MostAxes;
        var numbers = new List<Argument> { (int)start };
        for (int d = 0; d < axes - 1; d++) numbers.Add(d < sizes.Length ? (int)sizes[d] : 1);
        for (int d = 0; d < axes; d++) numbers.Add(d < sizes.Length ? (int)steps[d] : 0);
        return new(Of(axes == FewAxes ? few : many, Element(walked.DType.Bytes())), walked.Elements, [from, to, .. numbers]);
    }

    public static KernelPlan Concat(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var (_, size, inner) = Indexing.Around(outputs[0].Shape, ((Concat)op).Axis);
        var source = Of(nameof(Place), Element(outputs[0].DType.Bytes()));
        var launches = new List<LaunchPlan>();
        long at = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            long width = inputs[i].Shape[((Concat)op).Axis] * inner;
            launches.Add(new(source, inputs[i].Elements, [Operand(i), Operand(inputs.Length), (int)width, (int)(size * inner), (int)at]));
            at += width;
        }
        return new("a launch an input", launches.ToArray());
    }

    public static KernelPlan Pad(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var pad = (Pad)op;
        var strides = outputs[0].Shape.Strides();
        long start = 0;
        for (int i = 0; i < strides.Length; i++) start += strides[i] * pad.Before[i];
        int bits = outputs[0].DType switch
        {
            DType.F32 => BitConverter.SingleToInt32Bits((float)pad.Value),
            DType.BF16 => Bfloat16.FromSingle((float)pad.Value),
            DType.I32 => (int)pad.Value,
            DType.U8 => UnsignedByte.FromDouble(pad.Value),
            _ => pad.Value != 0 ? 1 : 0,
        };
        return new("fill, then the input", [Fill(outputs[0], bits, Operand(1)), Strided(nameof(WriteFew), nameof(WriteMany), inputs[0], strides, start, Operand(0), Operand(1))]);
    }

    /// <summary>The same bits everywhere.</summary>
    public static LaunchPlan Fill(TensorType type, int bits, Argument to) => new(Of(nameof(FillWith), Element(type.DType.Bytes())), type.Elements, [to, bits]);

    public static KernelPlan Copy(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) => new("copy", [Copy(inputs[0].Bytes, Operand(0), Operand(1))]);

    /// <summary>Bytes, moved as words where they are whole words.</summary>
    public static LaunchPlan Copy(long bytes, Argument from, Argument to) => new(Of(nameof(CopyElement), Element(bytes % 4 == 0 ? 4 : 1)), bytes % 4 == 0 ? bytes / 4 : bytes, [from, to]);

    public static KernelPlan OneHot(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        new("an element a work-item", [new(Of(nameof(OneHotElement)), outputs[0].Elements, [Operand(0), Operand(1), ((OneHot)op).Depth])]);

    public static KernelPlan Iota(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var (_, size, inner) = Indexing.Around(outputs[0].Shape, ((Iota)op).Axis);
        return new("an element a work-item", [new(Of(outputs[0].DType == DType.I32 ? nameof(IotaInt) : nameof(IotaFloat)), outputs[0].Elements, [Operand(0), (int)size, (int)inner])]);
    }

    public static KernelPlan StoreRow(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        new("an element a work-item", [new(Of(nameof(StoreElement), Element(inputs[0].DType.Bytes())), inputs[0].Elements, [Operand(0), Operand(1), Operand(2), (int)inputs[0].Elements, ((StoreRow)op).Rows])]);

    /// <summary>Writes an int that the host sets before each launch.</summary>
    public static LaunchPlan WriteNumber() => new(Of(nameof(FillWith), typeof(int)), 1, [Operand(0), 0]);

    // Device code; i is the work-item.

    private static void ReadFew<T>(int i, ArrayView<T> x, ArrayView<T> y, int start, int s0, int s1, int t0, int t1, int t2) where T : unmanaged =>
        y[i] = x[start + i % s0 * t0 + i / s0 % s1 * t1 + i / s0 / s1 * t2];

    private static void WriteFew<T>(int i, ArrayView<T> x, ArrayView<T> y, int start, int s0, int s1, int t0, int t1, int t2) where T : unmanaged =>
        y[start + i % s0 * t0 + i / s0 % s1 * t1 + i / s0 / s1 * t2] = x[i];

    private static int Many(int i, int start, int s0, int s1, int s2, int s3, int s4, int s5, int s6, int t0, int t1, int t2, int t3, int t4, int t5, int t6, int t7)
    {
        int at = start + i % s0 * t0;
        i /= s0;
        at += i % s1 * t1;
        i /= s1;
        at += i % s2 * t2;
        i /= s2;
        at += i % s3 * t3;
        i /= s3;
        at += i % s4 * t4;
        i /= s4;
        at += i % s5 * t5;
        i /= s5;
        return at + i % s6 * t6 + i / s6 * t7;
    }

    private static void ReadMany<T>(int i, ArrayView<T> x, ArrayView<T> y, int start, int s0, int s1, int s2, int s3, int s4, int s5, int s6, int t0, int t1, int t2, int t3, int t4, int t5, int t6, int t7)
        where T : unmanaged => y[i] = x[Many(i, start, s0, s1, s2, s3, s4, s5, s6, t0, t1, t2, t3, t4, t5, t6, t7)];

    private static void WriteMany<T>(int i, ArrayView<T> x, ArrayView<T> y, int start, int s0, int s1, int s2, int s3, int s4, int s5, int s6, int t0, int t1, int t2, int t3, int t4, int t5, int t6, int t7)
        where T : unmanaged => y[Many(i, start, s0, s1, s2, s3, s4, s5, s6, t0, t1, t2, t3, t4, t5, t6, t7)] = x[i];

    private static void Place<T>(int i, ArrayView<T> x, ArrayView<T> y, int width, int row, int at) where T : unmanaged => y[i / width * row + at + i % width] = x[i];

    private static void FillWith<T>(int i, ArrayView<T> y, T value) where T : unmanaged => y[i] = value;

    private static void CopyElement<T>(int i, ArrayView<T> x, ArrayView<T> y) where T : unmanaged => y[i] = x[i];

    private static void OneHotElement(int i, ArrayView<int> x, ArrayView<float> y, int depth) => y[i] = x[i / depth] == i % depth ? 1f : 0f;

    private static void IotaInt(int i, ArrayView<int> y, int size, int inner) => y[i] = i / inner % size;

    private static void IotaFloat(int i, ArrayView<float> y, int size, int inner) => y[i] = i / inner % size;

    // A row outside the table is left out, for a device cannot throw.
    private static void StoreElement<T>(int i, ArrayView<T> x, ArrayView<int> row, ArrayView<T> y, int width, int rows) where T : unmanaged
    {
        int to = row[0];
        if (to >= 0 && to < rows) y[to * width + i] = x[i];
    }
}
