using System.Reflection.Emit;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>
/// Products of matrices. A work-item computes a tile of the result in registers: for every term it reads a column of one factor and a row of the other and does all fused multiply-adds between them. So every
/// element is one chain over ascending terms, as on the processor, whatever the tile. At an edge the last row or column is computed again and not stored.
/// </summary>
internal static class Products
{
    // Axes of batches that a kernel walks; of more, each gets launches of its own.
    private const int BatchAxes = 3;

    public static KernelPlan MatMul(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var product = (MatMul)op;
        Shape a = inputs[0].Shape, b = inputs[1].Shape, c = outputs[0].Shape;
        int m = c[^2], n = c[^1], k = product.TransposeA ? a[^2] : a[^1];
        if (k == 0) return new("of nothing", [Movement.Fill(outputs[0], 0, Operand(2))]);
        // A compiler for a processor keeps 8 x 8 sums in vectors; a GPU has registers for 4 x 4 and needs many work-items.
        int side = kind == AcceleratorKind.Gpu ? 4 : 8, rows = m >= side ? side : 1, columns = n >= side ? side : 1;
        int tilesDown = (m + rows - 1) / rows, tilesAcross = (n + columns - 1) / columns;
        var source = Tile(rows, columns, product.TransposeA, product.TransposeB);
        var launches = new List<LaunchPlan>();
        Batches(Kernels.MatMul.Batch(a), Kernels.MatMul.Batch(b), Kernels.MatMul.Batch(c), (long)m * k, (long)k * n, (long)m * n, (axes, startA, startB, startC) =>
        {
            long batches = axes.Aggregate(1L, (product, axis) => product * axis.Size);
            Argument Number(int axis, Func<(long Size, long A, long B), long> of, int none) => axis < axes.Length ? checked((int)of(axes[axis])) : none;
            launches.Add(new(source, batches * tilesDown * tilesAcross, [Operand(0), Operand(1), Operand(2), m, n, k, tilesDown, tilesAcross, checked((int)startA), checked((int)startB), checked((int)startC),
                Number(0, x => x.Size, 1), Number(1, x => x.Size, 1), Number(0, x => x.A, 0), Number(1, x => x.A, 0), Number(2, x => x.A, 0), Number(0, x => x.B, 0), Number(1, x => x.B, 0), Number(2, x => x.B, 0)], Heavy: true));
        });
        return new(FormattableString.Invariant($"{rows}x{columns} sums a work-item"), launches.ToArray());
    }

    /// <summary>The batches' axes, innermost first, with the strides of both factors; those that are walked alike are one. Calls back once, or for every index of the axes beyond those that a kernel walks.</summary>
    private static void Batches(Shape a, Shape b, Shape c, long sizeA, long sizeB, long sizeC, Action<(long Size, long A, long B)[], long, long, long> launch)
    {
        long[] ofA = a.BroadcastStrides(c), ofB = b.BroadcastStrides(c);
        var axes = new List<(long Size, long A, long B)>();
        for (int axis = c.Rank - 1; axis >= 0; axis--)
        {
            var (size, strideA, strideB) = ((long)c[axis], ofA[axis] * sizeA, ofB[axis] * sizeB);
            if (size == 1) continue;
            if (axes.Count > 0 && axes[^1] is var inner && strideA == inner.A * inner.Size && strideB == inner.B * inner.Size) axes[^1] = inner with { Size = inner.Size * size };
            else axes.Add((size, strideA, strideB));
        }
        var walked = axes.Take(BatchAxes).ToArray();
        var others = axes.Skip(BatchAxes).ToArray();
        long each = walked.Aggregate(1L, (n, axis) => n * axis.Size) * sizeC;
        for (long i = 0; i < others.Aggregate(1L, (n, axis) => n * axis.Size); i++)
        {
            long rest = i, startA = 0, startB = 0;
            foreach (var (size, strideA, strideB) in others)
            {
                startA += rest % size * strideA;
                startB += rest % size * strideB;
                rest /= size;
            }
            launch(walked, startA, startB, i * each);
        }
    }

    private enum P { A, B, C, M, N, K, TilesDown, TilesAcross, StartA, StartB, StartC, Size0, Size1, A0, A1, A2, B0, B1, B2 }

    /// <summary>The kernel of a tile.</summary>
    private static KernelSource Tile(int rows, int columns, bool transposeA, bool transposeB)
    {
        string name = FormattableString.Invariant($"matmul_{rows}x{columns}{(transposeA ? "_ta" : "")}{(transposeB ? "_tb" : "")}");
        Type view = typeof(ArrayView<float>);
        Type[] parameters = [view, view, view, .. Enumerable.Repeat(typeof(int), (int)P.B2 - (int)P.C)];
        return new(name, name, parameters, (il, index) => Write(il, index, rows, columns, transposeA, transposeB));
    }

    private static void Write(ILGenerator il, LocalBuilder index, int rows, int columns, bool transposeA, bool transposeB)
    {
        LocalBuilder Int() => il.DeclareLocal(typeof(int));
        LocalBuilder row = Int(), column = Int(), batch = Int(), p = Int(), stepA = Int(), stepB = Int(), to = Int();
        var fromA = Enumerable.Range(0, rows).Select(_ => Int()).ToArray();
        var fromB = Enumerable.Range(0, columns).Select(_ => Int()).ToArray();
        LocalBuilder[] a = fromA.Select(_ => il.DeclareLocal(typeof(float))).ToArray(), b = fromB.Select(_ => il.DeclareLocal(typeof(float))).ToArray();
        var sums = new LocalBuilder[rows, columns];
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
            {
                sums[r, c] = il.DeclareLocal(typeof(float));
                il.Emit(OpCodes.Ldc_R4, 0f);
                il.Emit(OpCodes.Stloc, sums[r, c]);
            }

        // The tile's place, and where its batch lies.
        Call(nameof(TileRow), row, P.TilesDown, P.TilesAcross);
        Scale(row, rows);
        Call(nameof(TileColumn), column, P.TilesAcross);
        Scale(column, columns);
        Call(nameof(TileBatch), batch, P.TilesDown, P.TilesAcross);
        Argument(transposeA ? P.M : null, stepA);
        Argument(transposeB ? null : P.N, stepB);
        for (int r = 0; r < rows; r++) Start(fromA[r], row, r, P.M, transposeA ? null : P.K, P.StartA, P.A0);
        for (int c = 0; c < columns; c++) Start(fromB[c], column, c, P.N, transposeB ? P.K : null, P.StartB, P.B0);

        // The terms in their order.
        Label body = il.DefineLabel(), check = il.DefineLabel();
        il.Emit(OpCodes.Ldc_I4_0);
        il.Emit(OpCodes.Stloc, p);
        il.Emit(OpCodes.Br, check);
        il.MarkLabel(body);
        for (int r = 0; r < rows; r++) Next(P.A, fromA[r], a[r], stepA);
        for (int c = 0; c < columns; c++) Next(P.B, fromB[c], b[c], stepB);
        var multiplyAdd = typeof(MathF).GetMethod(nameof(MathF.FusedMultiplyAdd), [typeof(float), typeof(float), typeof(float)])!;
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
            {
                il.Emit(OpCodes.Ldloc, a[r]);
                il.Emit(OpCodes.Ldloc, b[c]);
                il.Emit(OpCodes.Ldloc, sums[r, c]);
                il.Emit(OpCodes.Call, multiplyAdd);
                il.Emit(OpCodes.Stloc, sums[r, c]);
            }
        il.Emit(OpCodes.Ldloc, p);
        il.Emit(OpCodes.Ldc_I4_1);
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Stloc, p);
        il.MarkLabel(check);
        il.Emit(OpCodes.Ldloc, p);
        il.Emit(OpCodes.Ldarg, (int)P.K);
        il.Emit(OpCodes.Blt, body);

        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
            {
                il.Emit(OpCodes.Ldarg, (int)P.C);
                il.Emit(OpCodes.Ldarg, (int)P.StartC);
                il.Emit(OpCodes.Ldloc, batch);
                Plus(row, r);
                Plus(column, c);
                il.Emit(OpCodes.Ldarg, (int)P.M);
                il.Emit(OpCodes.Ldarg, (int)P.N);
                il.Emit(OpCodes.Ldloc, sums[r, c]);
                il.Emit(OpCodes.Call, Helper(nameof(Store)));
            }

        void Plus(LocalBuilder number, int more)
        {
            il.Emit(OpCodes.Ldloc, number);
            il.Emit(OpCodes.Ldc_I4, more);
            il.Emit(OpCodes.Add);
        }

        void Scale(LocalBuilder number, int by)
        {
            il.Emit(OpCodes.Ldloc, number);
            il.Emit(OpCodes.Ldc_I4, by);
            il.Emit(OpCodes.Mul);
            il.Emit(OpCodes.Stloc, number);
        }

        void Call(string helper, LocalBuilder result, params P[] arguments)
        {
            il.Emit(OpCodes.Ldloc, index);
            foreach (var argument in arguments) il.Emit(OpCodes.Ldarg, (int)argument);
            il.Emit(OpCodes.Call, Helper(helper));
            il.Emit(OpCodes.Stloc, result);
        }

        // A parameter, or 1.
        void Argument(P? argument, LocalBuilder result)
        {
            if (argument is { } known) il.Emit(OpCodes.Ldarg, (int)known);
            else il.Emit(OpCodes.Ldc_I4_1);
            il.Emit(OpCodes.Stloc, result);
        }

        void Start(LocalBuilder result, LocalBuilder first, int more, P size, P? stride, P start, P strides)
        {
            Plus(first, more);
            il.Emit(OpCodes.Ldarg, (int)size);
            il.Emit(OpCodes.Call, Helper(nameof(AtMost)));
            if (stride is { } known)
            {
                il.Emit(OpCodes.Ldarg, (int)known);
                il.Emit(OpCodes.Mul);
            }
            il.Emit(OpCodes.Ldarg, (int)start);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Ldloc, batch);
            foreach (var argument in new[] { P.Size0, P.Size1, strides, strides + 1, strides + 2 }) il.Emit(OpCodes.Ldarg, (int)argument);
            il.Emit(OpCodes.Call, Helper(nameof(BatchStart)));
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Stloc, result);
        }

        void Next(P view, LocalBuilder at, LocalBuilder value, LocalBuilder step)
        {
            il.Emit(OpCodes.Ldarg, (int)view);
            il.Emit(OpCodes.Ldloc, at);
            il.Emit(OpCodes.Call, Helper(nameof(Load)));
            il.Emit(OpCodes.Stloc, value);
            il.Emit(OpCodes.Ldloc, at);
            il.Emit(OpCodes.Ldloc, step);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Stloc, at);
        }
    }

    private static System.Reflection.MethodInfo Helper(string name) => typeof(Products).GetMethod(name, System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic)!;

    // Device code; i is the work-item.

    private static int TileRow(int i, int tilesDown, int tilesAcross) => i / tilesAcross % tilesDown;

    private static int TileColumn(int i, int tilesAcross) => i % tilesAcross;

    private static int TileBatch(int i, int tilesDown, int tilesAcross) => i / tilesAcross / tilesDown;

    private static int AtMost(int at, int size) => at < size ? at : size - 1;

    private static int BatchStart(int batch, int s0, int s1, int t0, int t1, int t2) => batch % s0 * t0 + batch / s0 % s1 * t1 + batch / s0 / s1 * t2;

    private static float Load(ArrayView<float> x, int at) => x[at];

    private static void Store(ArrayView<float> y, int start, int batch, int row, int column, int m, int n, float value)
    {
        if (row < m && column < n) y[start + (batch * m + row) * n + column] = value;
    }
}
