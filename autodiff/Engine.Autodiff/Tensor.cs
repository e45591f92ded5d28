using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// A value in a graph: an output of a node. It holds no numbers; operators append nodes. Binary operators broadcast as numpy does.
/// </summary>
public sealed class Tensor
{
    internal Tensor(Node node, int index, TensorType type) => (Node, Index, Type) = (node, index, type);

    /// <summary>The node that computes it.</summary>
    public Node Node { get; }

    /// <summary>Which of the node's outputs it is.</summary>
    public int Index { get; }

    /// <summary>Element type and sizes.</summary>
    public TensorType Type { get; }

    /// <summary>Sizes.</summary>
    public Shape Shape => Type.Shape;

    /// <summary>The graph it belongs to.</summary>
    public Graph Graph => Node.Graph;

    /// <inheritdoc/>
    public override string ToString() => Index == 0 ? $"%{Node.Id}" : $"%{Node.Id}.{Index}";

    // ---- elementwise ----

    private Tensor Unary(UnaryKind kind) => Graph.Apply(new Unary(kind), this);

    private static Tensor Binary(BinaryKind kind, Tensor a, Tensor b) => Graph.Apply(new Binary(kind), a, b);

    private Tensor Like(double value) => Graph.Constant(new TensorType(Type.DType, Shape.Scalar), value);

    /// <summary>Sum.</summary>
    public static Tensor operator +(Tensor a, Tensor b) => Binary(BinaryKind.Add, a, b);

    /// <summary>Sum.</summary>
    public static Tensor operator +(Tensor a, double b) => Binary(BinaryKind.Add, a, a.Like(b));

    /// <summary>Sum.</summary>
    public static Tensor operator +(double a, Tensor b) => Binary(BinaryKind.Add, b.Like(a), b);

    /// <summary>Difference.</summary>
    public static Tensor operator -(Tensor a, Tensor b) => Binary(BinaryKind.Subtract, a, b);

    /// <summary>Difference.</summary>
    public static Tensor operator -(Tensor a, double b) => Binary(BinaryKind.Subtract, a, a.Like(b));

    /// <summary>Difference.</summary>
    public static Tensor operator -(double a, Tensor b) => Binary(BinaryKind.Subtract, b.Like(a), b);

    /// <summary>Product, element by element.</summary>
    public static Tensor operator *(Tensor a, Tensor b) => Binary(BinaryKind.Multiply, a, b);

    /// <summary>Product.</summary>
    public static Tensor operator *(Tensor a, double b) => Binary(BinaryKind.Multiply, a, a.Like(b));

    /// <summary>Product.</summary>
    public static Tensor operator *(double a, Tensor b) => Binary(BinaryKind.Multiply, b.Like(a), b);

    /// <summary>Quotient.</summary>
    public static Tensor operator /(Tensor a, Tensor b) => Binary(BinaryKind.Divide, a, b);

    /// <summary>Quotient.</summary>
    public static Tensor operator /(Tensor a, double b) => Binary(BinaryKind.Divide, a, a.Like(b));

    /// <summary>Quotient.</summary>
    public static Tensor operator /(double a, Tensor b) => Binary(BinaryKind.Divide, b.Like(a), b);

    /// <summary>-x</summary>
    public static Tensor operator -(Tensor x) => x.Unary(UnaryKind.Negate);

    /// <summary>x &lt; y</summary>
    public static Tensor operator <(Tensor a, Tensor b) => Graph.Apply(new Compare(CompareKind.Less), a, b);

    /// <summary>x > y</summary>
    public static Tensor operator >(Tensor a, Tensor b) => Graph.Apply(new Compare(CompareKind.Greater), a, b);

    /// <summary>x &lt;= y</summary>
    public static Tensor operator <=(Tensor a, Tensor b) => Graph.Apply(new Compare(CompareKind.LessEqual), a, b);

    /// <summary>x >= y</summary>
    public static Tensor operator >=(Tensor a, Tensor b) => Graph.Apply(new Compare(CompareKind.GreaterEqual), a, b);

    /// <summary>x &lt; y</summary>
    public static Tensor operator <(Tensor a, double b) => a < a.Like(b);

    /// <summary>x > y</summary>
    public static Tensor operator >(Tensor a, double b) => a > a.Like(b);

    /// <summary>x &lt;= y</summary>
    public static Tensor operator <=(Tensor a, double b) => a <= a.Like(b);

    /// <summary>x >= y</summary>
    public static Tensor operator >=(Tensor a, double b) => a >= a.Like(b);

    /// <summary>Both booleans.</summary>
    public static Tensor operator &(Tensor a, Tensor b) => Graph.Apply(new Logical(LogicalKind.And), a, b);

    /// <summary>Either boolean.</summary>
    public static Tensor operator |(Tensor a, Tensor b) => Graph.Apply(new Logical(LogicalKind.Or), a, b);

    /// <summary>Not the boolean.</summary>
    public static Tensor operator !(Tensor a) => Graph.Apply(new Logical(LogicalKind.Xor), a, a.Like(1));

    /// <summary>x == y</summary>
    public Tensor EqualTo(Tensor other) => Graph.Apply(new Compare(CompareKind.Equal), this, other);

    /// <summary>x == y</summary>
    public Tensor EqualTo(double other) => EqualTo(Like(other));

    /// <summary>x != y</summary>
    public Tensor NotEqualTo(Tensor other) => Graph.Apply(new Compare(CompareKind.NotEqual), this, other);

    /// <summary>x != y</summary>
    public Tensor NotEqualTo(double other) => NotEqualTo(Like(other));

    /// <summary>|x|</summary>
    public Tensor Abs() => Unary(UnaryKind.Abs);

    /// <summary>-1, 0, 1</summary>
    public Tensor Sign() => Unary(UnaryKind.Sign);

    /// <summary>x*x</summary>
    public Tensor Square() => Unary(UnaryKind.Square);

    /// <summary>1/x</summary>
    public Tensor Reciprocal() => Unary(UnaryKind.Reciprocal);

    /// <summary>Square root; its derivative at 0 is infinite.</summary>
    public Tensor Sqrt() => Unary(UnaryKind.Sqrt);

    /// <summary>1/sqrt(x)</summary>
    public Tensor Rsqrt() => Unary(UnaryKind.Rsqrt);

    /// <summary>e^x</summary>
    public Tensor Exp() => Unary(UnaryKind.Exp);

    /// <summary>e^x - 1</summary>
    public Tensor Expm1() => Unary(UnaryKind.Expm1);

    /// <summary>Natural logarithm.</summary>
    public Tensor Log() => Unary(UnaryKind.Log);

    /// <summary>log(1+x)</summary>
    public Tensor Log1p() => Unary(UnaryKind.Log1p);

    /// <summary>Sine.</summary>
    public Tensor Sin() => Unary(UnaryKind.Sin);

    /// <summary>Cosine.</summary>
    public Tensor Cos() => Unary(UnaryKind.Cos);

    /// <summary>Hyperbolic tangent.</summary>
    public Tensor Tanh() => Unary(UnaryKind.Tanh);

    /// <summary>1/(1+e^-x)</summary>
    public Tensor Sigmoid() => Unary(UnaryKind.Sigmoid);

    /// <summary>log(1+e^x)</summary>
    public Tensor Softplus() => Unary(UnaryKind.Softplus);

    /// <summary>max(x, 0), derivative 0 at 0.</summary>
    public Tensor Relu() => Unary(UnaryKind.Relu);

    /// <summary>Error function.</summary>
    public Tensor Erf() => Unary(UnaryKind.Erf);

    /// <summary>Largest integer not above x.</summary>
    public Tensor Floor() => Unary(UnaryKind.Floor);

    /// <summary>Nearest integer, halves to even.</summary>
    public Tensor Round() => Unary(UnaryKind.Round);

    /// <summary>x^y; its derivative with respect to y is taken as 0 where x is not positive.</summary>
    public Tensor Pow(Tensor exponent) => Binary(BinaryKind.Power, this, exponent);

    /// <summary>x - y floor(x/y), of floats or ints: between 0 and y, with y's sign. Of ints 0 where y is 0.</summary>
    public Tensor Modulo(Tensor other) => Binary(BinaryKind.Modulo, this, other);

    /// <summary>x - y floor(x/y), of floats or ints: a place in a ring of y.</summary>
    public Tensor Modulo(double other) => Modulo(Like(other));

    /// <summary>floor(x/y), of floats or ints, without a gradient. Of ints 0 where y is 0; the operator / truncates ints towards zero.</summary>
    public Tensor FloorDivide(Tensor other) => Binary(BinaryKind.FloorDivide, this, other);

    /// <summary>floor(x/y), of floats or ints, without a gradient.</summary>
    public Tensor FloorDivide(double other) => FloorDivide(Like(other));

    /// <summary>The larger, element by element; at a tie the gradient goes to this one.</summary>
    public Tensor Maximum(Tensor other) => Binary(BinaryKind.Maximum, this, other);

    /// <summary>The larger of the element and a number; at a tie the gradient goes to the element.</summary>
    public Tensor Maximum(double other) => Maximum(Like(other));

    /// <summary>The smaller, element by element; at a tie the gradient goes to this one.</summary>
    public Tensor Minimum(Tensor other) => Binary(BinaryKind.Minimum, this, other);

    /// <summary>The smaller of the element and a number; at a tie the gradient goes to the element.</summary>
    public Tensor Minimum(double other) => Minimum(Like(other));

    /// <summary>Limited to [low, high]; no gradient where it is clipped. NaN stays NaN.</summary>
    public Tensor Clip(double low, double high) => Select(this < low, Like(low), Select(this > high, Like(high), this));

    /// <summary>a where the condition holds, else b.</summary>
    public static Tensor Select(Tensor condition, Tensor a, Tensor b) => Graph.Apply(new Select(), condition, a, b);

    /// <summary>x*y + z with one rounding; equal shapes.</summary>
    public static Tensor FusedMultiplyAdd(Tensor x, Tensor y, Tensor z) => Graph.Apply(new Fma(), x, y, z);

    /// <summary>Another element type.</summary>
    public Tensor Cast(DType type) => type == Type.DType ? this : Graph.Apply(new Cast(type), this);

    // ---- movement ----

    /// <summary>The same elements under another shape; one size may be -1 and is then what remains.</summary>
    public Tensor Reshape(params ReadOnlySpan<int> sizes)
    {
        var to = sizes.ToArray();
        int free = Array.IndexOf(to, -1);
        if (free >= 0)
        {
            long known = 1;
            for (int i = 0; i < to.Length; i++) if (i != free) known *= to[i];
            to[free] = known == 0 ? 0 : checked((int)(Shape.Elements / known));
        }
        return Reshape((Shape)to);
    }

    /// <summary>The same elements under another shape.</summary>
    public Tensor Reshape(Shape shape) => shape == Shape ? this : Graph.Apply(new Reshape(shape), this);

    /// <summary>Axes in another order.</summary>
    public Tensor Permute(params ReadOnlySpan<int> order) => Graph.Apply(new Permute(Dims.Create(order)), this);

    /// <summary>The last two axes exchanged.</summary>
    public Tensor Transpose()
    {
        var order = Enumerable.Range(0, Shape.Rank).ToArray();
        (order[^1], order[^2]) = (order[^2], order[^1]);
        return Permute(order);
    }

    /// <summary>Repeated to a shape.</summary>
    public Tensor BroadcastTo(Shape shape) => shape == Shape ? this : Graph.Apply(new Broadcast(shape), this);

    /// <summary>An axis of size 1 inserted before the position (-1: after the last axis).</summary>
    public Tensor Expand(int position) => Reshape(Shape.Insert(position < 0 ? position + Shape.Rank + 1 : position, 1));

    /// <summary>An axis of size 1 removed.</summary>
    public Tensor Squeeze(int axis) => Shape[Shape.Axis(axis)] == 1 ? Reshape(Shape.Without(axis)) : throw new ShapeException($"axis {axis} of {Type} has not size 1");

    /// <summary>Elements start..start+size-1 (every step-th) along an axis.</summary>
    public Tensor Slice(int axis, int start, int size, int step = 1)
    {
        axis = Shape.Axis(axis);
        int[] starts = new int[Shape.Rank], sizes = Shape.Span.ToArray(), steps = new int[Shape.Rank];
        Array.Fill(steps, 1);
        (starts[axis], sizes[axis], steps[axis]) = (start, size, step);
        return Graph.Apply(new Slice(starts, sizes, steps), this);
    }

    /// <summary>One element along an axis, which disappears.</summary>
    public Tensor At(int axis, int index) => Slice(axis, index, 1).Reshape(Shape.Without(axis));

    /// <summary>Tensors one after another along an axis.</summary>
    public static Tensor Concat(int axis, params ReadOnlySpan<Tensor> tensors) =>
        tensors.Length == 1 ? tensors[0] : Graph.Apply(new Concat(tensors[0].Shape.Axis(axis)), tensors);

    /// <summary>Tensors of one shape along a new leading axis.</summary>
    public static Tensor Stack(params ReadOnlySpan<Tensor> tensors)
    {
        var rows = new Tensor[tensors.Length];
        for (int i = 0; i < rows.Length; i++) rows[i] = tensors[i].Expand(0);
        return Concat(0, rows);
    }

    /// <summary>A border of one value along an axis.</summary>
    public Tensor Pad(int axis, int before, int after, double value = 0)
    {
        axis = Shape.Axis(axis);
        int[] b = new int[Shape.Rank], a = new int[Shape.Rank];
        (b[axis], a[axis]) = (before, after);
        return Graph.Apply(new Pad(b, a, value), this);
    }

    /// <summary>Integers [...] to vectors [..., depth].</summary>
    public Tensor OneHot(int depth) => Graph.Apply(new OneHot(depth), this);

    /// <summary>Rows of this table [R, ...] at I32 indices [I...]: [I..., ...].</summary>
    public Tensor Gather(Tensor indices) => Graph.Apply(new Gather(), this, indices);

    /// <summary>Along the last axis, element indices[..., j] of each row: x [..., K], indices I32 [..., J], gives [..., J].</summary>
    public Tensor TakeAlongLast(Tensor indices) => Reshape(-1).Gather(Flat(indices, Shape[^1]));

    /// <summary>Positions within rows of the last axis turned into positions in the flattened tensor of rows of <paramref name="width"/>.</summary>
    internal static Tensor Flat(Tensor indices, int width)
    {
        int columns = indices.Shape[^1];
        var rows = indices.Graph.Iota(TensorType.Int([(int)(indices.Shape.Elements / columns), 1]));
        return (indices.Reshape(-1, columns) + rows * rows.Like(width)).Reshape(indices.Shape);
    }

    /// <summary>This table [R, ...] with rows [I..., ...] in the places of its own at I32 indices [I...], in their order: of two for one place the later stays. A variable that becomes it is written in
    /// place where the program reads its old content only before: whatever the size of the table, a row costs what the row costs. An index outside 0..R-1 throws on the CPU; on CUDA the row is left out.</summary>
    /// <exception cref="ShapeException">The shapes do not fit, or the rows have another element type.</exception>
    public Tensor SetRows(Tensor indices, Tensor rows) => Graph.Apply(new SetRows(), this, indices, rows);

    /// <summary>Zeros [rows, ...] with updates added at I32 indices.</summary>
    public static Tensor ScatterAdd(int rows, Tensor indices, Tensor updates) => Graph.Apply(new ScatterAdd(rows), indices, updates);

    // ---- reductions ----

    private Dims Axes(ReadOnlySpan<int> axes)
    {
        if (axes.Length == 0) return Enumerable.Range(0, Shape.Rank).ToArray();
        var sorted = new int[axes.Length];
        for (int i = 0; i < sorted.Length; i++) sorted[i] = Shape.Axis(axes[i]);
        Array.Sort(sorted);
        return sorted;
    }

    /// <summary>Targets over windows of rows, and where they are known (<see cref="Kernels.ChunkedBackup"/>): constants.</summary>
    /// <param name="backup">Windows, discounts, and how members' values become one.</param>
    /// <param name="rewards">[R]</param>
    /// <param name="terminals">[R], an end where above 0.</param>
    /// <param name="first">First rows, I32 [B].</param>
    /// <param name="left">Rows of the trajectory from there on, I32 [B].</param>
    /// <param name="values">Of what follows a window: [N, B], or logits [N, B, n].</param>
    /// <param name="members">The members that count, I32 [M]; null: all.</param>
    public static (Tensor Target, Tensor Known) ChunkedBackup(ChunkedBackup backup, Tensor rewards, Tensor terminals, Tensor first, Tensor left, Tensor values, Tensor? members = null)
    {
        Tensor[] inputs = members is null ? [rewards, terminals, first, left, values] : [rewards, terminals, first, left, values, members];
        var outputs = Graph.Innermost(inputs).Add(backup, inputs);
        return (outputs[0], outputs[1]);
    }

    /// <summary>Sum along axes (none named: all), which disappear.</summary>
    public Tensor Sum(params ReadOnlySpan<int> axes) => Graph.Apply(new Reduce(ReduceKind.Sum, Axes(axes), false), this);

    /// <summary>Sum along axes, which stay with size 1.</summary>
    public Tensor SumKeep(params ReadOnlySpan<int> axes) => Graph.Apply(new Reduce(ReduceKind.Sum, Axes(axes), true), this);

    /// <summary>Mean along axes (none named: all), which disappear.</summary>
    public Tensor Mean(params ReadOnlySpan<int> axes) => Sum(axes) * (1.0 / Count(axes));

    /// <summary>Mean along axes, which stay with size 1.</summary>
    public Tensor MeanKeep(params ReadOnlySpan<int> axes) => SumKeep(axes) * (1.0 / Count(axes));

    /// <summary>Number of elements along axes (none named: all).</summary>
    private long Count(ReadOnlySpan<int> axes)
    {
        long n = 1;
        foreach (int axis in Axes(axes)) n *= Shape[axis];
        return n;
    }

    /// <summary>Largest along one axis, which disappears; the gradient goes to the first that attains it.</summary>
    public Tensor Max(int axis) => Graph.Apply(new Reduce(ReduceKind.Max, [Shape.Axis(axis)], false), this);

    /// <summary>Smallest along one axis, which disappears; the gradient goes to the first that attains it.</summary>
    public Tensor Min(int axis) => Graph.Apply(new Reduce(ReduceKind.Min, [Shape.Axis(axis)], false), this);

    /// <summary>Position (I32) of the largest along an axis.</summary>
    public Tensor ArgMax(int axis) => Graph.Apply(new ArgReduce(Shape.Axis(axis), true), this);

    /// <summary>Position (I32) of the smallest along an axis.</summary>
    public Tensor ArgMin(int axis) => Graph.Apply(new ArgReduce(Shape.Axis(axis), false), this);

    /// <summary>Running sums along an axis, of F32 or I32.</summary>
    public Tensor CumulativeSum(int axis, bool exclusive = false, bool reverse = false) => Graph.Apply(new CumulativeSum(Shape.Axis(axis), exclusive, reverse), this);

    /// <summary>Values sorted along the last axis and the positions (I32) they came from.</summary>
    public (Tensor Values, Tensor Positions) Sort(bool descending = false)
    {
        var outputs = Graph.Add(new Sort(descending), this);
        return (outputs[0], outputs[1]);
    }

    /// <summary>The k largest along the last axis, largest first, and their positions (I32).</summary>
    public (Tensor Values, Tensor Positions) TopK(int k)
    {
        var (values, positions) = Sort(descending: true);
        return (values.Slice(-1, 0, k), positions.Slice(-1, 0, k));
    }

    /// <summary>Where each value could be inserted into this ascending tensor (last axis): I32.</summary>
    public Tensor SearchSorted(Tensor values, bool right = false) => Graph.Apply(new SearchSorted(right), this, values);

    /// <summary>Sums what broadcasting repeated, back to a shape: the derivative of broadcasting.</summary>
    public Tensor SumTo(Shape shape)
    {
        if (Shape == shape) return this;
        var axes = new List<int>();
        int added = Shape.Rank - shape.Rank;
        for (int i = 0; i < Shape.Rank; i++)
            if (i < added || (shape[i - added] == 1 && Shape[i] != 1)) axes.Add(i);
        return (axes.Count == 0 ? this : Sum(axes.ToArray())).Reshape(shape);
    }

    // ---- products, convolutions, composites ----

    /// <summary>Batched matrix product; the last two axes are the matrices, the others broadcast.</summary>
    public Tensor MatMul(Tensor other, bool transposeThis = false, bool transposeOther = false)
    {
        // One shared matrix: one tall product instead of many small ones, and one weight gradient instead of a sum of many.
        if (Shape.Rank > 2 && other.Shape.Rank == 2 && !transposeThis)
        {
            Shape flat = [checked((int)(Shape.Elements / Shape[^1])), Shape[^1]];
            var product = Graph.Apply(new MatMul(false, transposeOther), Reshape(flat), other);
            return product.Reshape(Shape.With(-1, product.Shape[^1]));
        }
        return Graph.Apply(new MatMul(transposeThis, transposeOther), this, other);
    }

    /// <summary>activation(x W + b); W [..., in, out], b [..., out].</summary>
    public Tensor Linear(Tensor weight, Tensor bias, Activation activation = Activation.None)
    {
        if (Shape.Rank > 2 && weight.Shape.Rank == 2)
        {
            Shape flat = [checked((int)(Shape.Elements / Shape[^1])), Shape[^1]];
            return Graph.Apply(new Linear(activation), Reshape(flat), weight, bias).Reshape(Shape.With(-1, weight.Shape[^1]));
        }
        return Graph.Apply(new Linear(activation), this, weight, bias);
    }

    /// <summary>Images [B, C, H, W] to columns.</summary>
    public Tensor Unfold(Window window) => Graph.Apply(new Unfold(window), this);

    /// <summary>Columns added up into images.</summary>
    public Tensor Fold(Window window, int channels, int height, int width) => Graph.Apply(new Fold(window, channels, height, width), this);

    /// <summary>Layer normalisation over the last axis.</summary>
    public Tensor LayerNorm(Tensor weight, Tensor bias, double epsilon = 1e-5) => Graph.Apply(new LayerNorm(epsilon), this, weight, bias);

    /// <summary>Softmax over the last axis.</summary>
    public Tensor Softmax() => Graph.Apply(new Softmax(), this);

    /// <summary>Log of the sum of exponentials over the last axis, which disappears.</summary>
    public Tensor LogSumExp() => Graph.Apply(new LogSumExp(), this);

    /// <summary>log softmax over the last axis.</summary>
    public Tensor LogSoftmax() => this - LogSumExp().Expand(-1);

    // ---- graph ----

    /// <summary>The value; gradients stop here.</summary>
    public Tensor StopGradient() => Graph.Apply(new StopGradient(), this);

    /// <summary>The value; the interpreter prints it.</summary>
    public Tensor Print(string label) => Graph.Apply(new Print(label), this);
}
