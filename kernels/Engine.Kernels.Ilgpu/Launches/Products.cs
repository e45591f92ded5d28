using System.Reflection.Emit;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>
/// Products of matrices. A work-item computes a tile of the result in registers: for every term it reads a column of one factor and a row of the other and does all fused multiply-adds between them. So every
/// element is one chain over ascending terms, as on the processor, whatever the tile. At an edge the last row or column is computed again and not stored. What is joined to a product is done when an element is stored.
/// </summary>
internal static class Products
{
    // Axes of batches that a kernel walks; of more, each gets launches of its own.
    private const int BatchAxes = 3;

    /// <summary>What is joined to a product: the function that stores an element, and which inputs it reads.</summary>
    /// <param name="Store">The name of a function below.</param>
    /// <param name="Inputs">Numbers of its inputs.</param>
    private sealed record Ending(string Store, params int[] Inputs);

    public static KernelPlan MatMul(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) => Make((MatMul)op, new(nameof(StoreSum)), inputs, outputs[0], kind);

    /// <summary>A product, a sum with it, a mask after it.</summary>
    public static KernelPlan FusedMatMul(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        var fused = (FusedMatMul)op;
        Ending ending = !fused.Residual ? new(nameof(StoreMasked), 2) : fused.Mask ? new(nameof(StoreAddedMasked), 2, 3) : new(nameof(StoreAdded), 2);
        return Make(fused.Product, ending, inputs, outputs[0], kind);
    }

    /// <summary>A layer: product, bias, activation.</summary>
    public static KernelPlan Linear(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        Make(new MatMul(false, false), new(((Linear)op).Activation == Activation.Relu ? nameof(StoreBiasRelu) : nameof(StoreBias), 2), inputs, outputs[0], kind);

    /// <summary>Whether there are terms: a product of none by itself is zeros, with something joined to it it runs by its parts.</summary>
    public static bool HasTerms(Op op, TensorType[] inputs) => inputs[0].Shape[op is FusedMatMul { Product.TransposeA: true } ? ^2 : ^1] > 0;

    private static KernelPlan Make(MatMul product, Ending ending, TensorType[] inputs, TensorType output, AcceleratorKind kind)
    {
        Shape a = inputs[0].Shape, b = inputs[1].Shape, c = output.Shape;
        int m = c[^2], n = c[^1], k = product.TransposeA ? a[^2] : a[^1];
        if (k == 0) return new("of nothing", [Movement.Fill(output, 0, Operand(inputs.Length))]);
        // A compiler for a processor keeps 8 x 8 sums in vectors; a GPU has registers for 4 x 4 and needs many work-items.
        int side = kind == AcceleratorKind.Gpu ? 4 : 8, rows = m >= side ? side : 1, columns = n >= side ? side : 1;
        int tilesDown = (m + rows - 1) / rows, tilesAcross = (n + columns - 1) / columns;
        var launches = new List<LaunchPlan>();
        var scratch = new Scratch();
        var right = Operand(1);
        bool transposeB = product.TransposeB;
        if (transposeB && columns > 1 && kind == AcceleratorKind.Processor)
        {
            // A vector's elements must be neighbours.
            var strides = b.Strides();
            (strides[^1], strides[^2]) = (strides[^2], strides[^1]);
            right = scratch.Take(inputs[1].Bytes);
            launches.Add(Movement.Read(TensorType.Float(b.With(-1, n).With(-2, k)), strides, 0, Operand(1), right));
            transposeB = false;
        }
        var source = Tile(rows, columns, product.TransposeA, transposeB, ending);
        Batches(Kernels.MatMul.Batch(a), Kernels.MatMul.Batch(b), Kernels.MatMul.Batch(c), (long)m * k, (long)k * n, (long)m * n, (axes, startA, startB, startC) =>
        {
            long batches = axes.Aggregate(1L, (product, axis) => product * axis.Size);
            Argument Number(int axis, Func<(long Size, long A, long B), long> of, int none) => axis < axes.Length ? checked((int)of(axes[axis])) : none;
            launches.Add(new(source, batches * tilesDown * tilesAcross, [Operand(0), right, Operand(inputs.Length), m, n, k, tilesDown, tilesAcross, checked((int)startA), checked((int)startB), checked((int)startC),
                Number(0, x => x.Size, 1), Number(1, x => x.Size, 1), Number(0, x => x.A, 0), Number(1, x => x.A, 0), Number(2, x => x.A, 0), Number(0, x => x.B, 0), Number(1, x => x.B, 0), Number(2, x => x.B, 0),
                .. ending.Inputs.Select(i => Operand(i))], Heavy: true));
        });
        return new(FormattableString.Invariant($"{rows}x{columns} sums a work-item"), launches.ToArray(), scratch.Bytes);
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
    private static KernelSource Tile(int rows, int columns, bool transposeA, bool transposeB, Ending ending)
    {
        string name = FormattableString.Invariant($"matmul_{rows}x{columns}{(transposeA ? "_ta" : "")}{(transposeB ? "_tb" : "")}_{ending.Store}");
        Type view = typeof(ArrayView<float>);
        Type[] parameters = [view, view, view, .. Enumerable.Repeat(typeof(int), (int)P.B2 - (int)P.C), .. ending.Inputs.Select(_ => view)];
        return new(name, name, parameters, (il, index) => Write(il, index, rows, columns, transposeA, transposeB, ending));
    }

    /// <summary>Where a factor's element of a row or column lies: a number of the tile, and what is added to it.</summary>
    private readonly record struct Place(LocalBuilder At, int More);

    private static void Write(ILGenerator il, LocalBuilder index, int rows, int columns, bool transposeA, bool transposeB, Ending ending)
    {
        LocalBuilder Int() => il.DeclareLocal(typeof(int));
        LocalBuilder row = Int(), column = Int(), batch = Int(), p = Int(), stepA = Int(), stepB = Int();
        LocalBuilder[] ofA = Enumerable.Range(0, rows).Select(_ => Int()).ToArray(), ofB = Enumerable.Range(0, columns).Select(_ => Int()).ToArray();
        LocalBuilder[] a = ofA.Select(_ => il.DeclareLocal(typeof(float))).ToArray(), b = ofB.Select(_ => il.DeclareLocal(typeof(float))).ToArray();
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
        for (int r = 0; r < rows; r++) Start(ofA[r], row, r, P.M, transposeA ? null : P.K, P.StartA, P.A0);
        for (int c = 0; c < columns; c++) Start(ofB[c], column, c, P.N, transposeB ? P.K : null, P.StartB, P.B0);

        // A whole tile's neighbours are read as neighbours, which makes vectors of them; at an edge every row and column has a place of its own.
        Label edge = il.DefineLabel(), store = il.DefineLabel();
        if (rows > 1 || columns > 1)
        {
            il.Emit(OpCodes.Ldloc, row);
            il.Emit(OpCodes.Ldloc, column);
            il.Emit(OpCodes.Ldc_I4, rows);
            il.Emit(OpCodes.Ldc_I4, columns);
            il.Emit(OpCodes.Ldarg, (int)P.M);
            il.Emit(OpCodes.Ldarg, (int)P.N);
            il.Emit(OpCodes.Call, Helper(nameof(IsEdge)));
            il.Emit(OpCodes.Brtrue, edge);
            Terms([.. ofA.Select((at, r) => transposeA ? new Place(ofA[0], r) : new(at, 0))], [.. ofB.Select((at, c) => transposeB ? new Place(at, 0) : new(ofB[0], c))]);
            il.Emit(OpCodes.Br, store);
            il.MarkLabel(edge);
        }
        Terms([.. ofA.Select(at => new Place(at, 0))], [.. ofB.Select(at => new Place(at, 0))]);
        il.MarkLabel(store);

        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
            {
                il.Emit(OpCodes.Ldarg, (int)P.C);
                for (int i = 0; i < ending.Inputs.Length; i++) il.Emit(OpCodes.Ldarg, (int)P.B2 + 1 + i);
                if (ending.Store is nameof(StoreBias) or nameof(StoreBiasRelu)) BiasStart();
                il.Emit(OpCodes.Ldarg, (int)P.StartC);
                il.Emit(OpCodes.Ldloc, batch);
                Plus(row, r);
                Plus(column, c);
                il.Emit(OpCodes.Ldarg, (int)P.M);
                il.Emit(OpCodes.Ldarg, (int)P.N);
                il.Emit(OpCodes.Ldloc, sums[r, c]);
                il.Emit(OpCodes.Call, Helper(ending.Store));
            }

        // The terms in their order.
        void Terms(Place[] fromA, Place[] fromB)
        {
            Label body = il.DefineLabel(), check = il.DefineLabel();
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Stloc, p);
            il.Emit(OpCodes.Br, check);
            il.MarkLabel(body);
            for (int r = 0; r < rows; r++) Read(P.A, fromA[r], a[r]);
            for (int c = 0; c < columns; c++) Read(P.B, fromB[c], b[c]);
            foreach (var at in fromA.Select(f => f.At).Distinct()) Add(at, stepA);
            foreach (var at in fromB.Select(f => f.At).Distinct()) Add(at, stepB);
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
        }

        // The bias of a batch lies as its matrix does, one row of k.
        void BiasStart()
        {
            il.Emit(OpCodes.Ldarg, (int)P.StartB);
            il.Emit(OpCodes.Ldloc, batch);
            foreach (var argument in new[] { P.Size0, P.Size1, P.B0, P.B1, P.B2 }) il.Emit(OpCodes.Ldarg, (int)argument);
            il.Emit(OpCodes.Call, Helper(nameof(Products.BatchStart)));
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Ldarg, (int)P.K);
            il.Emit(OpCodes.Div);
        }

        void Plus(LocalBuilder number, int more)
        {
            il.Emit(OpCodes.Ldloc, number);
            if (more == 0) return;
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

        void Read(P view, Place from, LocalBuilder value)
        {
            il.Emit(OpCodes.Ldarg, (int)view);
            Plus(from.At, from.More);
            il.Emit(OpCodes.Call, Helper(nameof(Load)));
            il.Emit(OpCodes.Stloc, value);
        }

        void Add(LocalBuilder number, LocalBuilder step)
        {
            il.Emit(OpCodes.Ldloc, number);
            il.Emit(OpCodes.Ldloc, step);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Stloc, number);
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

    private static bool IsEdge(int row, int column, int rows, int columns, int m, int n) => row + rows > m || column + columns > n;

    private static void StoreSum(ArrayView<float> y, int start, int batch, int row, int column, int m, int n, float sum)
    {
        if (row < m && column < n) y[start + (batch * m + row) * n + column] = sum;
    }

    private static void StoreBias(ArrayView<float> y, ArrayView<float> bias, int biasStart, int start, int batch, int row, int column, int m, int n, float sum)
    {
        if (row < m && column < n) y[start + (batch * m + row) * n + column] = sum + bias[biasStart + column];
    }

    private static void StoreBiasRelu(ArrayView<float> y, ArrayView<float> bias, int biasStart, int start, int batch, int row, int column, int m, int n, float sum)
    {
        if (row >= m || column >= n) return;
        float value = sum + bias[biasStart + column];
        y[start + (batch * m + row) * n + column] = value <= 0f ? 0f : value; // NaN stays
    }

    private static void StoreAdded(ArrayView<float> y, ArrayView<float> residual, int start, int batch, int row, int column, int m, int n, float sum)
    {
        int at = start + (batch * m + row) * n + column;
        if (row < m && column < n) y[at] = residual[at] + sum;
    }

    private static void StoreMasked(ArrayView<float> y, ArrayView<float> mask, int start, int batch, int row, int column, int m, int n, float sum)
    {
        int at = start + (batch * m + row) * n + column;
        if (row < m && column < n) y[at] = mask[at] > 0f ? sum : 0f;
    }

    private static void StoreAddedMasked(ArrayView<float> y, ArrayView<float> residual, ArrayView<float> mask, int start, int batch, int row, int column, int m, int n, float sum)
    {
        int at = start + (batch * m + row) * n + column;
        if (row < m && column < n) y[at] = mask[at] > 0f ? residual[at] + sum : 0f;
    }
}
