namespace Engine.Kernels;

/// <summary>How close a kernel must be to the float64 reference.</summary>
public enum Tolerance
{
    /// <summary>The same bits as the naive float32 loop: moves, comparisons, integers, single correctly rounded operations.</summary>
    Exact,
    /// <summary>At most twice the error of the naive float32 loop: sums and products.</summary>
    Rounded,
    /// <summary>At most 2 ulp of float32, or twice the naive loop's error: functions computed by approximation.</summary>
    Function,
}

/// <summary>A sample input: its type and the range its numbers are drawn from.</summary>
/// <param name="Type">Element type and shape.</param>
/// <param name="Low">Smallest.</param>
/// <param name="High">Largest (ints: one above).</param>
/// <param name="Ascending">Sorted along the last axis.</param>
public readonly record struct SampleInput(TensorType Type, double Low, double High, bool Ascending = false);

/// <summary>One way to use an op.</summary>
/// <param name="Op">The op with attributes.</param>
/// <param name="Inputs">Its inputs.</param>
/// <param name="Tolerance">How close kernels must be.</param>
/// <param name="Differentiable">Whether it has derivatives with respect to its float inputs that finite differences can confirm.</param>
public sealed record OpCase(Op Op, SampleInput[] Inputs, Tolerance Tolerance, bool Differentiable)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Op.Name}({string.Join(", ", Inputs.Select(i => i.Type))}) {Op}";
}

/// <summary>
/// Every op once, with samples of its use. The table drives the forward check on every device, the gradient check and the coverage matrix: an op that is not in it
/// does not exist (a test compares it with the op types).
/// </summary>
public static class OpTable
{
    /// <summary>Ops that are not computed by themselves: programs give them storage, or run their bodies.</summary>
    public static IReadOnlyList<Type> Structural { get; } =
        [typeof(Input), typeof(VariableRead), typeof(Capture), typeof(Carried), typeof(RepeatIndex), typeof(Repeat), typeof(Constant), typeof(StoreRow)];

    /// <summary>
    /// Ops that have no CUDA kernel yet, by name, with the reason. CUDA refuses a program that needs one when it is compiled; a composite runs its definition there. Tests demand a CUDA kernel for
    /// every other op that the processor implements.
    /// </summary>
    public static IReadOnlyDictionary<string, string> CpuOnly { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        // ["flip"] = "no kernel yet",
    };

    /// <summary>All cases, op by op.</summary>
    public static IReadOnlyList<OpCase> Cases { get; } = Make().ToArray();

    private static SampleInput F(Shape shape, double low = -2, double high = 2, bool ascending = false) => new(TensorType.Float(shape), low, high, ascending);

    private static SampleInput I(Shape shape, int low, int high) => new(TensorType.Int(shape), low, high);

    private static SampleInput B(Shape shape) => new(TensorType.Boolean(shape), 0, 2);

    private static SampleInput Y(Shape shape) => new(TensorType.Byte(shape), 0, 256);

    private static OpCase Case(Op op, Tolerance tolerance, bool differentiable, params SampleInput[] inputs) => new(op, inputs, tolerance, differentiable);

    private static IEnumerable<OpCase> Make()
    {
        const Tolerance exact = Tolerance.Exact, rounded = Tolerance.Rounded, function = Tolerance.Function;
        Shape[] shapes = [[], [1], [7], [3, 5], [2, 3, 4], [33, 17], [0], [2, 0]];

        // Elementwise. Ranges keep finite differences away from kinks and poles; special values have a test of their own.
        foreach (var kind in Enum.GetValues<UnaryKind>())
            foreach (var shape in shapes)
            {
                var (low, high) = kind switch
                {
                    UnaryKind.Sqrt or UnaryKind.Rsqrt or UnaryKind.Log or UnaryKind.Reciprocal => (0.3, 4.0),
                    UnaryKind.Log1p => (-0.6, 3.0),
                    UnaryKind.Abs or UnaryKind.Sign or UnaryKind.Relu => (0.05, 3.0),
                    _ => (-3.0, 3.0),
                };
                var tolerance = kind is UnaryKind.Negate or UnaryKind.Abs or UnaryKind.Sign or UnaryKind.Square or UnaryKind.Reciprocal or UnaryKind.Sqrt or UnaryKind.Rsqrt
                    or UnaryKind.Relu or UnaryKind.Floor or UnaryKind.Round ? exact : function;
                yield return Case(new Unary(kind), tolerance, kind is not (UnaryKind.Floor or UnaryKind.Round or UnaryKind.Sign), F(shape, low, high));
            }
        yield return Case(new Unary(UnaryKind.Relu), exact, false, F([40], -2, 2));
        yield return Case(new Unary(UnaryKind.Negate), exact, false, I([9], -5, 6));
        yield return Case(new Unary(UnaryKind.Abs), exact, false, I([9], -5, 6));

        (Shape, Shape)[] pairs = [([], []), ([7], [7]), ([3, 5], [3, 5]), ([3, 5], []), ([], [4]), ([3, 5], [5]), ([3, 5], [3, 1]), ([2, 1, 4], [3, 1]), ([2, 3, 4], [1, 3, 1]), ([10, 33], [33]), ([0, 3], [3])];
        foreach (var kind in Enum.GetValues<BinaryKind>())
            foreach (var (a, b) in pairs)
            {
                var (low, high) = kind is BinaryKind.Power or BinaryKind.Divide or BinaryKind.Modulo or BinaryKind.FloorDivide ? (0.4, 2.5) : (-2.0, 2.0);
                // A remainder and a rounded quotient jump where the quotient passes an integer: finite differences cannot be trusted there.
                yield return Case(new Binary(kind), kind == BinaryKind.Power ? function : exact, kind is not (BinaryKind.Modulo or BinaryKind.FloorDivide), F(a, low, high), F(b, low, high));
                if (kind != BinaryKind.Power) yield return Case(new Binary(kind), exact, false, I(a, -50, 50), I(b, -3, 4));
            }
        foreach (var kind in Enum.GetValues<CompareKind>())
            foreach (var (a, b) in pairs)
            {
                yield return Case(new Compare(kind), exact, false, F(a), F(b));
                yield return Case(new Compare(kind), exact, false, I(a, 0, 3), I(b, 0, 3));
            }
        foreach (var kind in Enum.GetValues<LogicalKind>())
            foreach (var (a, b) in pairs) yield return Case(new Logical(kind), exact, false, B(a), B(b));
        foreach (var (a, b) in pairs)
        {
            var full = Shape.Broadcast(a, b);
            yield return Case(new Select(), exact, true, B(full), F(a), F(b));
            yield return Case(new Select(), exact, true, B(a), F(full), F(b));
            yield return Case(new Select(), exact, false, B(b), I(a, 0, 9), I(full, 0, 9));
        }
        foreach (var shape in shapes) yield return Case(new Fma(), exact, true, F(shape), F(shape), F(shape));
        foreach (var (from, to) in new[] { (DType.F32, DType.I32), (DType.F32, DType.Bool), (DType.I32, DType.F32), (DType.I32, DType.Bool), (DType.Bool, DType.F32), (DType.Bool, DType.I32), (DType.F32, DType.F32), (DType.F32, DType.BF16), (DType.BF16, DType.F32) })
            yield return Case(new Cast(to), exact, from == DType.F32 && to == DType.F32, new SampleInput(new TensorType(from, [5, 7]), from == DType.Bool ? 0 : -9, from == DType.Bool ? 2 : 9));
        foreach (Shape shape in new Shape[] { [], [5, 7], [33, 17] })
        {
            foreach (var to in new[] { DType.F32, DType.I32, DType.Bool, DType.U8 }) yield return Case(new Cast(to), exact, false, Y(shape));
            yield return Case(new Cast(DType.U8), exact, false, F(shape, -60, 320));
            yield return Case(new Cast(DType.U8), exact, false, I(shape, -60, 320));
            yield return Case(new Cast(DType.U8), exact, false, B(shape));
        }
        foreach (var (op, inputs) in Regions()) yield return Case(op, rounded, false, inputs);
        foreach (var (op, inputs) in Expressions()) yield return Case(op, exact, false, inputs);

        // Movement.
        yield return Case(new Reshape([6]), exact, true, F([2, 3]));
        yield return Case(new Reshape([]), exact, true, F([1, 1]));
        yield return Case(new Permute([1, 0]), exact, true, F([33, 18]));
        yield return Case(new Permute([2, 0, 1]), exact, true, F([2, 3, 4]));
        yield return Case(new Permute([0, 2, 1, 3]), exact, true, F([2, 3, 4, 5]));
        yield return Case(new Permute([0]), exact, false, B([9]));
        yield return Case(new Broadcast([3, 4]), exact, true, F([4]));
        yield return Case(new Broadcast([2, 3, 4]), exact, true, F([3, 1]));
        yield return Case(new Broadcast([5]), exact, false, I([], 0, 9));
        yield return Case(new Slice([1], [4], [1]), exact, true, F([9]));
        yield return Case(new Slice([1], [4], [2]), exact, true, F([9]));
        yield return Case(new Slice([0, 2, 1], [2, 1, 2], [1, 1, 3]), exact, true, F([2, 4, 6]));
        yield return Case(new Concat(0), exact, true, F([2, 3]), F([1, 3]), F([4, 3]));
        yield return Case(new Concat(1), exact, true, F([20, 17]), F([20, 6]));
        yield return Case(new Concat(2), exact, true, F([2, 3, 4]), F([2, 3, 1]));
        yield return Case(new Concat(0), exact, false, B([3]), B([2]));
        yield return Case(new Pad([1, 0], [0, 2], 0.5), exact, true, F([2, 3]));
        yield return Case(new Pad([2], [1], -1), exact, false, I([4], 0, 9));
        yield return Case(new Pad([2], [1], 1), exact, false, B([4]));
        foreach (int width in new[] { 3, 8 })
        {
            yield return Case(new Permute([1, 0]), exact, false, Y([33, width]));
            yield return Case(new Permute([0, 2, 1, 3]), exact, false, Y([2, 3, 4, width]));
            yield return Case(new Broadcast([4, 3, width]), exact, false, Y([3, 1]));
            yield return Case(new Broadcast([3, width]), exact, false, Y([width]));
            yield return Case(new Slice([1, 1], [4, 2], [2, 1]), exact, false, Y([9, width]));
            yield return Case(new Concat(0), exact, false, Y([2, width]), Y([5, width]));
            yield return Case(new Concat(1), exact, false, Y([4, width]), Y([4, 1]), Y([4, 6]));
            yield return Case(new Pad([1, 0], [0, 2], 200), exact, false, Y([3, width]));
            yield return Case(new Copy(), exact, false, Y([33, width]));
            yield return Case(new Gather(), exact, false, Y([6, width]), I([2, 4], 0, 6));
            yield return Case(new SetRows(), exact, false, Y([6, width]), I([2, 4], 0, 6), Y([2, 4, width]));
        }
        yield return Case(new Reshape([6]), exact, false, Y([2, 3]));
        yield return Case(new Gather(), exact, false, Y([6]), I([9], 0, 6));
        yield return Case(new SetRows(), exact, false, Y([6]), I([3], 0, 6), Y([3]));
        yield return Case(new OneHot(5), exact, false, I([3, 4], -1, 6));
        yield return Case(new Iota(TensorType.Float([3, 4]), 1), exact, false);
        yield return Case(new Iota(TensorType.Int([3, 4]), 0), exact, false);
        yield return Case(new StopGradient(), exact, false, F([3]));
        yield return Case(new Print("sample"), exact, false, F([3]));
        yield return Case(new Copy(), exact, true, F([3, 40]));

        // Indexing.
        yield return Case(new Gather(), exact, true, F([6]), I([9], 0, 6));
        yield return Case(new Gather(), exact, true, F([6, 3]), I([2, 4], 0, 6));
        yield return Case(new Gather(), exact, false, I([6, 3], 0, 99), I([4], 0, 6));
        yield return Case(new ScatterAdd(5), exact, true, I([9], 0, 5), F([9]));
        yield return Case(new ScatterAdd(5), exact, true, I([2, 4], 0, 5), F([2, 4, 3]));
        yield return Case(new SetRows(), exact, true, F([6]), I([3], 0, 6), F([3]));
        yield return Case(new SetRows(), exact, true, F([3]), I([9], 0, 3), F([9]));
        yield return Case(new SetRows(), exact, true, F([6, 3]), I([], 0, 6), F([3]));
        yield return Case(new SetRows(), exact, true, F([4, 3]), I([2, 4], 0, 4), F([2, 4, 3]));
        yield return Case(new SetRows(), exact, true, F([4, 2, 3]), I([3], 0, 4), F([3, 2, 3]));
        yield return Case(new SetRows(), exact, false, F([5, 300]), I([700], 0, 5), F([700, 300]));
        yield return Case(new SetRows(), exact, false, F([6, 3]), I([0], 0, 6), F([0, 3]));
        yield return Case(new SetRows(), exact, false, F([6, 0]), I([2], 0, 6), F([2, 0]));
        yield return Case(new SetRows(), exact, false, I([6, 3], 0, 99), I([4], 0, 6), I([4, 3], 0, 99));
        yield return Case(new SetRows(), exact, false, I([7], 0, 99), I([], 0, 7), I([], 0, 99));
        yield return Case(new SetRows(), exact, false, B([5, 2]), I([3], 0, 5), B([3, 2]));
        yield return Case(new SetRows(), exact, false, B([5, 8]), I([3], 0, 5), B([3, 8]));
        yield return Case(new SetRows(), exact, false, B([9]), I([4, 2], 0, 9), B([4, 2]));
        yield return Case(new Sort(false), exact, true, F([7]));
        yield return Case(new Sort(true), exact, true, F([5, 9]));
        yield return Case(new SearchSorted(false), exact, false, F([2, 6], ascending: true), F([2, 5]));
        yield return Case(new SearchSorted(true), exact, false, F([6], ascending: true), F([5]));
        foreach (var kind in Enum.GetValues<MemberReduction>())
            foreach (var (h, stride, rows, windows, members) in new[] { (1, 1, 9, 7, 1), (5, 1, 40, 33, 2), (8, 3, 40, 300, 10), (25, 1, 7, 5, 3), (4, 1, 5, 0, 2) })
            {
                // Every third row or so ends its trajectory.
                SampleInput[] window = [F([rows]), F([rows], -2, 1), I([windows], 0, rows), I([windows], 1, 2 * h + 1)];
                yield return Case(new ChunkedBackup(h, 0.99, 0.9, stride, kind, 0.3), exact, false, [.. window, F([members, windows], -9, 9)]);
                yield return Case(new ChunkedBackup(h, 0.97, 0.97, stride, kind, 1), exact, false, [.. window, F([members, windows], -9, 9), I([2], 0, members)]);
                // An expectation is a sum of products that may cancel, whatever its exponentials are.
                if (kind != MemberReduction.Quantile) yield return Case(new ChunkedBackup(h, 0.99, 0.9, stride, kind, 0, -5, 25), rounded, false, [.. window, F([members, windows, 21], -3, 3)]);
            }

        // Reductions.
        foreach (var kind in Enum.GetValues<ReduceKind>())
        {
            var tolerance = kind == ReduceKind.Sum ? rounded : exact;
            foreach (bool keep in new[] { false, true })
            {
                yield return Case(new Reduce(kind, [0], keep), tolerance, true, F([9]));
                yield return Case(new Reduce(kind, [1], keep), tolerance, true, F([5, 40]));
                yield return Case(new Reduce(kind, [0], keep), tolerance, true, F([6, 9]));
                yield return Case(new Reduce(kind, [1], keep), tolerance, true, F([3, 4, 5]));
                yield return Case(new Reduce(kind, [0, 2], keep), tolerance, kind == ReduceKind.Sum, F([3, 4, 5]));
                yield return Case(new Reduce(kind, [0, 1], keep), tolerance, kind == ReduceKind.Sum, F([3, 4]));
            }
            yield return Case(new Reduce(kind, [0], false), tolerance, false, F([20_000]));
            yield return Case(new Reduce(kind, [1], false), tolerance, false, F([3, 0]));
            yield return Case(new Reduce(kind, [], false), tolerance, kind == ReduceKind.Sum, F([4]));
        }
        FusedStep[] squares = [new(new Binary(BinaryKind.Subtract), [0, 1]), new(new Unary(UnaryKind.Square), [3]), new(new Binary(BinaryKind.Multiply), [4, 2])];
        Fused Reduced(Reduce reduce, bool store) => new(3, [.. squares, new(reduce, [5])], store ? [5, 6] : [6]);
        foreach (var (kind, store) in Enum.GetValues<ReduceKind>().SelectMany(k => new[] { (k, false), (k, true) }))
        {
            var tolerance = kind == ReduceKind.Sum ? rounded : exact;
            yield return Case(Reduced(new(kind, [1], false), store), tolerance, false, F([700, 6]), F([6]), F([]));
            yield return Case(Reduced(new(kind, [0], true), store), tolerance, false, F([700, 6]), F([700, 1]), F([6]));
            yield return Case(Reduced(new(kind, [1], false), store), tolerance, false, F([3, 40, 300]), F([40, 1]), F([300]));
            yield return Case(Reduced(new(kind, [0], false), store), tolerance, false, F([5, 5000]), F([5, 1]), F([]));
            yield return Case(Reduced(new(kind, [0, 1], false), store), tolerance, false, F([40, 100]), F([100]), F([]));
            yield return Case(Reduced(new(kind, [1], false), store), tolerance, false, F([3, 0]), F([3, 1]), F([]));
        }
        yield return Case(Reduced(new(ReduceKind.Sum, [0, 1], true), true), rounded, false, F([21, 997]), F([997]), F([21, 1]));
        foreach (bool largest in new[] { true, false })
        {
            yield return Case(new ArgReduce(0, largest), exact, false, F([9]));
            yield return Case(new ArgReduce(1, largest), exact, false, F([3, 7, 2]));
        }
        foreach (bool exclusive in new[] { true, false })
            foreach (bool reverse in new[] { true, false })
            {
                yield return Case(new CumulativeSum(0, exclusive, reverse), exact, true, F([8]));
                yield return Case(new CumulativeSum(1, exclusive, reverse), exact, true, F([2, 5, 3]));
                yield return Case(new CumulativeSum(0, exclusive, reverse), exact, false, I([8], -9, 9));
                yield return Case(new CumulativeSum(1, exclusive, reverse), exact, false, I([3, 40, 2], int.MinValue / 2, int.MaxValue / 2));
            }

        // Products and convolutions.
        foreach (bool ta in new[] { false, true })
            foreach (bool tb in new[] { false, true })
                foreach (var (m, k, n) in new[] { (3, 4, 5), (1, 7, 3), (4, 1, 6), (5, 9, 1), (13, 23, 34), (25, 17, 65) })
                {
                    bool small = (long)m * k * n < 500;
                    Shape a = ta ? [k, m] : [m, k], b = tb ? [n, k] : [k, n];
                    yield return Case(new MatMul(ta, tb), rounded, small, F(a), F(b));
                    yield return Case(new MatMul(ta, tb), rounded, small, F([3, .. a]), F([3, .. b]));
                    yield return Case(new MatMul(ta, tb), rounded, small, F(a), F([2, .. b]));
                    if (small) yield return Case(new MatMul(ta, tb), rounded, true, F([2, 1, .. a]), F([3, .. b]));
                }
        foreach (var (residual, mask) in new[] { (false, true), (true, false), (true, true) })
            foreach (var (m, k, n) in new[] { (3, 4, 5), (1, 7, 40), (40, 9, 1), (4, 1, 6), (13, 23, 34), (25, 400, 65) })
            {
                SampleInput[] after = [.. residual ? [F([2, m, n])] : Array.Empty<SampleInput>(), .. mask ? [F([2, m, n])] : Array.Empty<SampleInput>()];
                yield return Case(new FusedMatMul(new MatMul(false, true), residual, mask), rounded, false, [F([m, k]), F([2, n, k]), .. after]);
                yield return Case(new FusedMatMul(new MatMul(true, false), residual, mask), rounded, false, [F([2, k, m]), F([2, k, n]), .. after]);
            }
        foreach (bool transpose in new[] { false, true })
            foreach (var (members, m, k, n) in new[] { (3, 40, 7, 5), (2, 9, 1, 34), (1, 6, 4, 6), (4, 300, 23, 40), (5, 30, 400, 17), (3, 40, 5, 1) })
            {
                SampleInput[] inputs = [F([m, k]), F(transpose ? [members, n, k] : [members, k, n]), I([m], 0, members)];
                yield return Case(new MemberMatMul(transpose, false), rounded, false, inputs);
                yield return Case(new MemberMatMul(transpose, true), rounded, false, [.. inputs, F([members, m, n])]);
            }
        foreach (var (op, inputs) in Chains()) yield return Case(op, rounded, false, inputs);
        yield return Case(new MatMul(false, false), rounded, false, F([40, 700]), F([700, 33]));
        yield return Case(new MatMul(false, false), rounded, false, F([2, 3, 0]), F([0, 4]));
        yield return Case(new MatMul(false, true), rounded, false, F([0, 3]), F([4, 3]));
        yield return Case(new MatMul(false, false), rounded, false, F([0, 2, 3]), F([3, 4]));
        yield return Case(new Unfold(new Window(2, 3)), exact, true, F([2, 2, 4, 5]));
        yield return Case(new Unfold(new Window(1, 3, PadWidth: 1, StrideWidth: 2)), exact, true, F([2, 3, 1, 7]));
        yield return Case(new Unfold(new Window(2, 2, 2, 1, 1, 1, 1, 2)), exact, true, F([1, 2, 5, 6]));
        yield return Case(new Fold(new Window(2, 3), 2, 4, 5), exact, true, F([2, 9, 12]));
        yield return Case(new Fold(new Window(1, 3, PadWidth: 1, StrideWidth: 2), 3, 1, 7), exact, true, F([2, 4, 9]));

        // Draws: the state is a seed and a step.
        foreach (Shape shape in new Shape[] { [], [5], [3, 7], [5000] })
        {
            yield return Case(new RandomUniform("u", shape), exact, false, I([3], 0, 1000));
            yield return Case(new RandomNormal("n", shape), exact, false, I([3], 0, 1000), I([], 0, 9));
            yield return Case(new RandomInteger("i", shape), exact, false, I([3], 0, 1000), I([], 1, 99));
        }
        yield return Case(new RandomPermutation("p", [100]), exact, false, I([3], 0, 1000));

        // Composites.
        foreach (var activation in Enum.GetValues<Activation>())
        {
            yield return Case(new Linear(activation), rounded, true, F([4, 3]), F([3, 5]), F([5]));
            yield return Case(new Linear(activation), rounded, true, F([4, 3]), F([2, 3, 5]), F([2, 5]));
            yield return Case(new Linear(activation), rounded, true, F([2, 4, 3]), F([2, 3, 1]), F([2, 1]));
            yield return Case(new Linear(activation), rounded, false, F([37, 23]), F([3, 23, 40]), F([3, 40]));
        }
        yield return Case(new LayerNorm(1e-5), rounded, true, F([3, 6]), F([6]), F([6]));
        yield return Case(new LayerNorm(1e-5), rounded, false, F([2, 3, 65]), F([65]), F([65]));
        yield return Case(new LayerNorm(1e-5), rounded, false, F([40, 256]), F([256]), F([256]));
        yield return Case(new LayerNormGradient(1e-5), rounded, true, F([3, 6]), F([6]), F([3, 6]));
        yield return Case(new LayerNormGradient(1e-5), rounded, false, F([2, 3, 65]), F([65]), F([2, 3, 65]));
        yield return Case(new LayerNormGradient(1e-5), rounded, false, F([40, 256]), F([256]), F([40, 256]));
        yield return Case(new Softmax(), rounded, true, F([3, 6]));
        yield return Case(new Softmax(), rounded, false, F([5, 37], -20, 20));
        yield return Case(new LogSumExp(), rounded, true, F([3, 6]));
        yield return Case(new LogSumExp(), rounded, false, F([2, 5, 37], -20, 20));
        yield return Case(new Adam(0.9, 0.999, 1e-8), rounded, true, F([2, 9]), F([2, 9]), F([2, 9], 0.1, 2), F([2, 9]), F([], 0.1, 1), F([], 0.1, 1), F([], 0.1, 1));
        SampleInput[] Parameter(Shape shape) => [F(shape), F(shape), F(shape, 0.1, 2), F(shape)];
        SampleInput[] scalars = [F([], 0.1, 1), F([], 0.1, 1), F([], 0.1, 1)];
        yield return Case(new AdamGroup(new(0.9, 0.999, 1e-8), 3, null), rounded, false, [.. Parameter([2, 9]), .. Parameter([20_000]), .. Parameter([1]), .. scalars]);
        yield return Case(new AdamGroup(new(0.9, 0.999, 1e-8), 2, new(0.005)), rounded, false, [.. Parameter([33]), F([33]), .. Parameter([5, 4000]), F([5, 4000]), .. scalars]);
        yield return Case(new Polyak(0.005), rounded, true, F([2, 9]), F([2, 9]));
        yield return Case(new DenoiseStep(new([1, -0.3])), rounded, true, F([2, 9]), F([2, 9]));
        yield return Case(new DenoiseStep(new([0.9, 0, 0.1]), new(1.1, -0.4, 5, 0.7)), rounded, true, F([2, 9]), F([2, 9]), F([2, 9]));
        yield return Case(new DenoiseStep(new([0.9, 0, 0.1]), new(1.1, -0.4, 1, 0.7), 1.5), rounded, false, F([256, 6]), F([256, 6]), F([256, 6]));
        yield return Case(new DenoiseStep(new([1.2, -0.3, 0.5, 0.25, -0.1]), null, 2), rounded, false, F([64, 50]), F([64, 50]), F([64, 50]), F([64, 50]), F([64, 50]));
    }

    /// <summary>Layers forwards and gradients backwards, with widths that lines of four elements divide and that they do not; weights small enough for values to stay of one size.</summary>
    private static IEnumerable<(MatMulChain Op, SampleInput[] Inputs)> Chains()
    {
        Linear hidden = new(Activation.Relu), last = new(Activation.None);
        FusedMatMul masked = new(new MatMul(false, true), false, true);
        MatMul back = new(false, true), plain = new(false, false);
        SampleInput W(params int[] shape) => F(shape, -0.4, 0.4);
        // Of few results the largest error of the naive loop, which others are measured by, may be small by chance: errors of one link go through the next.
        foreach (int m in new[] { 7, 45 })
        {
            yield return (new MatMulChain([hidden, hidden, last], [2]), [F([m, 7]), W(7, 36), F([36]), W(36, 20), F([20]), W(20, 1), F([1])]);
            yield return (new MatMulChain([hidden, hidden, last], [0, 1, 2]), [F([m, 7]), W(3, 7, 36), F([3, 36]), W(3, 36, 20), F([3, 20]), W(3, 20, 5), F([3, 5])]);
            yield return (new MatMulChain([hidden, last], [1]), [F([2, m, 40]), W(2, 40, 33), F([2, 33]), W(2, 33, 17), F([2, 17])]);
            yield return (new MatMulChain([masked, masked, back], [0, 1, 2]), [F([2, m, 1]), W(2, 36, 1), F([2, m, 36]), W(2, 20, 36), F([2, m, 20]), W(2, 7, 20)]);
            yield return (new MatMulChain([back, masked], [1]), [F([2, m, 24]), W(2, 12, 24), W(2, 44, 12), F([2, m, 44])]);
        }
        yield return (new MatMulChain([hidden, hidden, hidden, last], [0, 1, 2, 3]), [F([70, 23]), W(2, 23, 256), F([2, 256]), W(2, 256, 256), F([2, 256]), W(2, 256, 256), F([2, 256]), W(2, 256, 1), F([2, 1])]);
        yield return (new MatMulChain([hidden, hidden], [1]), [F([33, 2]), W(2, 100), F([100]), W(100, 256), F([256])]);
        yield return (new MatMulChain([plain, plain], [1]), [F([5, 300]), W(300, 9), W(9, 4)]);
        // Rows with matrices of their own.
        MemberMatMul member = new(true, true), end = new(true, false);
        yield return (new MatMulChain([member, member, end], [2]), [F([60, 1]), I([60], 0, 4), W(4, 36, 1), F([4, 60, 36]), W(4, 20, 36), F([4, 60, 20]), W(4, 7, 20)]);
        yield return (new MatMulChain([member, end], [0, 1]), [F([45, 24]), I([45], 0, 3), W(3, 64, 24), F([3, 45, 64]), W(3, 33, 64)]);
        yield return (new MatMulChain([new MemberMatMul(false, false), end], [1]), [F([9, 5]), I([9], 0, 2), W(2, 5, 12), W(2, 6, 12)]);
    }

    /// <summary>Expressions with several results, of all elements, of rows and of one, before and after reductions, in one pass over a row and in two.</summary>
    private static IEnumerable<(Op Op, SampleInput[] Inputs)> Regions()
    {
        Binary add = new(BinaryKind.Add), subtract = new(BinaryKind.Subtract), multiply = new(BinaryKind.Multiply);
        Unary square = new(UnaryKind.Square), tanh = new(UnaryKind.Tanh), exp = new(UnaryKind.Exp), negate = new(UnaryKind.Negate);
        Compare greater = new(CompareKind.Greater);
        Reduce Along(ReduceKind kind, int axis, bool keep = false) => new(kind, [axis], keep);
        // Several results of elements; a number that all share comes out too.
        yield return (new Fused(3, [new(greater, [0, 1]), new(exp, [1]), new(multiply, [0, 4]), new(new Select(), [3, 5, 2]), new(new Cast(DType.I32), [6])], [3, 4, 5, 7]), [F([40, 30]), F([]), F([30])]);
        yield return (new Fused(3, [new(greater, [0, 1]), new(exp, [1]), new(multiply, [0, 4]), new(new Select(), [3, 5, 2])], [3, 4, 6]), [F([50, 1203]), F([1]), F([50, 1])]);
        yield return (new Fused(1, [new(exp, [0]), new(negate, [0]), new(add, [1, 2])], [1, 2, 3]), [F([])]);
        // A sample of a squashed Gaussian, and the sum over its dimensions.
        foreach (int n in new[] { 1, 6, 16, 17, 40 })
            yield return (new Fused(4, [new(new Slice([0, n], [20, n], [1, 1]), [0]), new(exp, [4]), new(multiply, [5, 1]), new(add, [6, 2]), new(tanh, [7]), new(square, [1]), new(add, [9, 4]), new(Along(ReduceKind.Sum, 1), [10]), new(negate, [11]), new(multiply, [12, 3])], [5, 8, 11, 13]),
                [F([20, 2 * n]), F([20, n]), F([20, n]), F([20])]);
        // The smallest of an ensemble, and a target of it.
        foreach (var (members, batch) in new[] { (10, 256), (2, 33), (1, 9) })
            yield return (new Fused(5, [new(Along(ReduceKind.Min, 0), [0]), new(multiply, [1, 2]), new(subtract, [5, 6]), new(multiply, [3, 7]), new(add, [4, 8]), new(subtract, [0, 9]), new(multiply, [10, 10])], [5, 9, 11]),
                [F([members, batch]), F([1]), F([batch]), F([]), F([batch])]);
        // Two passes: the deviation from the mean, and what comes of it.
        foreach (var (shape, axis) in new (Shape, int)[] { ([9, 10], 1), ([10, 33], 0), ([2, 7, 5], 1) })
            yield return (new Fused(2, [new(Along(ReduceKind.Sum, axis, true), [0]), new(multiply, [2, 1]), new(subtract, [0, 3]), new(square, [4]), new(Along(ReduceKind.Sum, axis, true), [5]), new(multiply, [4, 6])], [3, 5, 6, 7]), [F(shape), F([])]);
        // Rows of a warp: several reductions, a row's number before and after them, elements that come out.
        foreach (var (rows, width) in new[] { (40, 256), (40, 32), (9, 130), (30, 1021), (20, 1024), (300, 20), (20, 1025), (9, 3000), (5, 8192) })
            yield return (new Fused(4, [new(square, [1]), new(multiply, [0, 4]), new(Along(ReduceKind.Sum, 1, true), [5]), new(Along(ReduceKind.Max, 1, true), [0]), new(add, [6, 7]), new(add, [8, 1]), new(subtract, [0, 2]), new(Along(ReduceKind.Min, 1, true), [10]), new(negate, [3]), new(multiply, [11, 12])], [4, 5, 6, 9, 11, 12, 13]),
                [F([rows, width]), F([rows, 1]), F([width]), F([])]);
        yield return (new Fused(1, [new(new Reduce(ReduceKind.Sum, [0, 1], false), [0]), new(square, [1])], [1, 2]), [F([2, 100])]);
        // What is as long as the rows is broadcast over them.
        foreach (Shape shape in new Shape[] { [30, 6], [9, 200], [4, 3, 5] })
            yield return (new Fused(2, [new(negate, [1]), new(new Reshape([shape[0], .. Enumerable.Repeat(1, shape.Rank - 1)]), [2]), new(multiply, [0, 3]), new(add, [4, 4])], [2, 4, 5]), [F(shape), F([shape[0]])]);
        yield return (new Fused(2, [new(negate, [1]), new(multiply, [0, 2])], [2, 3]), [F([5, 70]), F([70])]);
        // Expressions without a single traversal: they run step by step.
        yield return (new Fused(1, [new(Along(ReduceKind.Sum, 0), [0]), new(Along(ReduceKind.Sum, 1), [0])], [1, 2]), [F([30, 40])]);
        yield return (new Fused(2, [new(Along(ReduceKind.Sum, 1, true), [0]), new(subtract, [0, 2]), new(add, [3, 1])], [4]), [F([3, 9000]), F([])]);
    }

    /// <summary>Fused expressions with every kind of step, of arguments and of rows: long, short, repeated, of one element, of none.</summary>
    private static IEnumerable<(Op Op, SampleInput[] Inputs)> Expressions()
    {
        Binary add = new(BinaryKind.Add), multiply = new(BinaryKind.Multiply);
        Compare greater = new(CompareKind.Greater);
        // 0 where x is not above 0, else g: what a rectifier does to a gradient.
        Fused masked = new(3, [new(greater, [0, 1]), new(new Select(), [3, 2, 1])]);
        yield return (masked, [F([40, 300]), F([]), F([40, 300])]);
        yield return (masked, [F([3, 6]), F([1]), F([3, 1])]);
        yield return (masked, [F([0, 6]), F([1]), F([0, 6])]);
        // Short and long rows, columns and scalars in one expression, whose values die at different times.
        Fused rows = new(4, [new(add, [0, 1]), new(multiply, [4, 2]), new(new Unary(UnaryKind.Relu), [5]), new(add, [6, 3]), new(multiply, [7, 4]), new(add, [8, 0])]);
        yield return (rows, [F([700, 6]), F([6]), F([700, 1]), F([])]);
        yield return (rows, [F([9, 700]), F([700]), F([9, 1]), F([])]);
        yield return (rows, [F([2, 300, 4]), F([300, 1]), F([2, 1, 4]), F([1, 4])]);
        yield return (rows, [F([2, 3, 300]), F([3, 300]), F([2, 1, 300]), F([2, 3, 1])]);
        yield return (rows, [F([]), F([]), F([]), F([])]);
        // Broadcasts and aliases inside; a broadcast alone repeats every argument of a step.
        Fused views = new(3, [new(new Broadcast([5, 9]), [0]), new(new Broadcast([5, 9]), [1]), new(multiply, [3, 4]), new(new Reshape([9, 5]), [5]), new(add, [6, 2]), new(new StopGradient(), [7]), new(new Fma(), [8, 6, 8])]);
        yield return (views, [F([5, 1]), F([]), F([9, 5])]);
        yield return (views, [F([9]), F([1, 1]), F([])]);
        yield return (new Fused(2, [new(new Broadcast([4, 5]), [0]), new(new Broadcast([4, 5]), [1]), new(new Broadcast([4, 5]), [1]), new(new Fma(), [2, 3, 4]), new(add, [5, 5])]), [F([5]), F([])]);
        // Every element type between the steps, and as the result.
        Fused types = new(3, [new(new Cast(DType.I32), [0]), new(add, [3, 1]), new(new Compare(CompareKind.Less), [4, 1]), new(new Logical(LogicalKind.And), [5, 2]),
            new(new Cast(DType.F32), [6]), new(new Cast(DType.BF16), [0]), new(new Cast(DType.F32), [8]), new(add, [7, 9]), new(new Select(), [2, 10, 0])]);
        yield return (types, [F([5, 300], -9, 9), I([5, 300], -9, 9), B([300])]);
        yield return (types, [F([7, 3], -9, 9), I([], -9, 9), B([7, 1])]);
        Fused images = new(2, [new(new Cast(DType.F32), [0]), new(multiply, [2, 1]), new(new Cast(DType.U8), [3])]);
        yield return (images, [Y([5, 300]), F([300], -1, 3)]);
        yield return (images, [Y([20, 300]), F([], 0.5, 2)]);
        yield return (images, [Y([]), F([7, 3], -1, 3)]);
        yield return (new Fused(2, [new(new Cast(DType.U8), [0]), new(new Cast(DType.I32), [1]), new(new Cast(DType.I32), [2]), new(add, [3, 4])]), [F([7, 300], -60, 320), Y([7, 300])]);
        yield return (new Fused(2, [new(greater, [0, 1]), new(new Logical(LogicalKind.Xor), [2, 2])]), [F([33, 7]), F([7])]);
        yield return (new Fused(1, [new(new Cast(DType.I32), [0]), new(new Unary(UnaryKind.Negate), [1])]), [F([20_000], -9, 9)]);
        // What comes out is another name of a value, behind one that nobody needs.
        yield return (new Fused(1, [new(new Unary(UnaryKind.Negate), [0]), new(new Cast(DType.I32), [0]), new(new Reshape([3000]), [1])]), [F([30, 100], -9, 9)]);
    }
}
