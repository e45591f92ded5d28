using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// The derivative of every op, one rule an op, written in ops. A rule gets the node and the gradients of its outputs and returns the gradients of its
/// inputs; null where there is none (integers, booleans, functions that are constant almost everywhere).
/// A composite without a rule is differentiated through its definition.
/// </summary>
public static class Derivatives
{
    private delegate Tensor?[] Rule(Node node, Tensor g);

    private static readonly Dictionary<Type, Rule> Table = new()
    {
        [typeof(Unary)] = (n, g) => [UnaryRule(((Unary)n.Op).Kind, n.Inputs[0], n.Outputs[0], g)],
        [typeof(Binary)] = (n, g) =>
        {
            var (a, b) = BinaryRule(((Binary)n.Op).Kind, n.Inputs[0], n.Inputs[1], n.Outputs[0], g);
            return [a?.SumTo(n.Inputs[0].Shape), b?.SumTo(n.Inputs[1].Shape)];
        },
        [typeof(Compare)] = None,
        [typeof(Logical)] = None,
        [typeof(Select)] = (n, g) =>
        [
            null,
            Tensor.Select(n.Inputs[0], g, Zero(g)).SumTo(n.Inputs[1].Shape),
            Tensor.Select(n.Inputs[0], Zero(g), g).SumTo(n.Inputs[2].Shape),
        ],
        [typeof(Fma)] = (n, g) => [g * n.Inputs[1], g * n.Inputs[0], g],
        [typeof(Cast)] = (n, g) => [n.Inputs[0].Type.DType.IsFloat() && g.Type.DType.IsFloat() ? g.Cast(n.Inputs[0].Type.DType) : null],

        [typeof(Reshape)] = (n, g) => [g.Reshape(n.Inputs[0].Shape)],
        [typeof(Permute)] = (n, g) => [g.Permute(((Permute)n.Op).Inverse().Span)],
        [typeof(Broadcast)] = (n, g) => [g.SumTo(n.Inputs[0].Shape)],
        [typeof(Slice)] = (n, g) => [SliceRule((Slice)n.Op, n.Inputs[0].Shape, g)],
        [typeof(Concat)] = (n, g) =>
        {
            int axis = ((Concat)n.Op).Axis, at = 0;
            return Array.ConvertAll(n.Inputs, input =>
            {
                var part = g.Slice(axis, at, input.Shape[axis]);
                at += input.Shape[axis];
                return part;
            });
        },
        [typeof(Pad)] = (n, g) =>
        {
            var ones = new int[g.Shape.Rank];
            Array.Fill(ones, 1);
            return [Graph.Apply(new Slice(((Pad)n.Op).Before, n.Inputs[0].Shape.Dims, ones), g)];
        },
        [typeof(OneHot)] = None,
        [typeof(Gather)] = (n, g) => [Tensor.ScatterAdd(n.Inputs[0].Shape[0], n.Inputs[1], g), null],
        [typeof(ScatterAdd)] = (n, g) => [null, g.Gather(n.Inputs[0])],
        [typeof(SetRows)] = (n, g) => SetRowsRule(n.Inputs[1], n.Inputs[2].Shape, g),
        [typeof(SearchSorted)] = None,
        [typeof(ChunkedBackup)] = None, // a target is a constant
        [typeof(StopGradient)] = None,
        [typeof(Print)] = (_, g) => [g],
        [typeof(Copy)] = (_, g) => [g],

        [typeof(Reduce)] = (n, g) => [ReduceRule((Reduce)n.Op, n.Inputs[0], g)],
        [typeof(ArgReduce)] = None,
        [typeof(CumulativeSum)] = (n, g) =>
        {
            var op = (CumulativeSum)n.Op;
            return [g.CumulativeSum(op.Axis, op.Exclusive, !op.Reverse)];
        },
        [typeof(Sort)] = (n, g) =>
        {
            int elements = (int)g.Shape.Elements;
            var flat = Tensor.Flat(n.Outputs[1], g.Shape[^1]);
            return [Tensor.ScatterAdd(elements, flat.Reshape(elements), g.Reshape(elements)).Reshape(g.Shape)];
        },

        [typeof(MatMul)] = (n, g) =>
        {
            var op = (MatMul)n.Op;
            Tensor a = n.Inputs[0], b = n.Inputs[1];
            var da = op.TransposeA ? Product(b, g, op.TransposeB, true) : Product(g, b, false, !op.TransposeB);
            var db = op.TransposeB ? Product(g, a, true, op.TransposeA) : Product(a, g, !op.TransposeA, false);
            return [da.SumTo(a.Shape), db.SumTo(b.Shape)];
        },
        [typeof(Unfold)] = (n, g) =>
        {
            var s = n.Inputs[0].Shape;
            return [g.Fold(((Unfold)n.Op).Window, s[1], s[2], s[3])];
        },
        [typeof(Fold)] = (n, g) => [g.Unfold(((Fold)n.Op).Window)],

        [typeof(Linear)] = (n, g) =>
        {
            Tensor x = n.Inputs[0], w = n.Inputs[1], y = n.Outputs[0];
            if (((Linear)n.Op).Activation == Activation.Relu) g = Tensor.Select(y > 0, g, Zero(g));
            return [Product(g, w, false, true).SumTo(x.Shape), Product(x, g, true, false).SumTo(w.Shape), g.Sum(-2).SumTo(n.Inputs[2].Shape)];
        },
        [typeof(LayerNorm)] = (n, g) =>
        {
            Tensor x = n.Inputs[0], w = n.Inputs[1];
            var gradients = Graph.Innermost([x, w, g]).Add(new LayerNormGradient(((LayerNorm)n.Op).Epsilon), [x, w, g]);
            return [gradients[0], gradients[1].SumTo(w.Shape), g.SumTo(w.Shape)];
        },
        [typeof(Softmax)] = (n, g) =>
        {
            var y = n.Outputs[0];
            return [y * (g - (g * y).SumKeep(-1))];
        },
        [typeof(LogSumExp)] = (n, g) => [n.Inputs[0].Softmax() * g.Expand(-1)],

        [typeof(Repeat)] = (n, _) => throw new NotSupportedException($"gradients do not pass through a loop ({n}): unroll what must be differentiated with a C# for"),
    };

    /// <summary>Whether the op has a rule of its own.</summary>
    public static bool HasRule(Type op) => Table.ContainsKey(op);

    /// <summary>The gradients of a node's inputs.</summary>
    internal static Tensor?[] Of(Node node, Tensor?[] outputs, Predicate<int> needed)
    {
        if (node.Op is Repeat) return Table[typeof(Repeat)](node, null!);
        if (Table.TryGetValue(node.Op.GetType(), out var rule))
            // Of the ops with several outputs only Sort has a rule, and its second output is integers.
            return outputs[0] is { } g ? rule(node, g) : new Tensor?[node.Inputs.Length];
        if (node.Op is not Composite composite) throw new NotSupportedException($"op {node.Op.Name} has no derivative ({node})");

        int first = Graph.Innermost(node.Inputs).Nodes.Count;
        var results = CompositeDefinitions.Expand(composite, node.Inputs);
        var sums = new Tensor?[node.Inputs.Length];
        int[] wanted = Enumerable.Range(0, node.Inputs.Length).Where(i => needed(i)).ToArray();
        for (int o = 0; o < results.Length; o++)
        {
            if (outputs[o] is not { } g) continue;
            var gradients = Gradients.Collect(results[o], g, Array.ConvertAll(wanted, i => node.Inputs[i]), first);
            for (int i = 0; i < wanted.Length; i++)
                if (gradients[i] is { } part) sums[wanted[i]] = sums[wanted[i]] is { } sum ? sum + part : part;
        }
        return sums;
    }

    private static Tensor?[] None(Node node, Tensor g) => new Tensor?[node.Inputs.Length];

    private static Tensor Zero(Tensor like) => like.Graph.Constant(0);

    private static Tensor Product(Tensor a, Tensor b, bool transposeA, bool transposeB) => Graph.Apply(new MatMul(transposeA, transposeB), a, b);

    private static Tensor? UnaryRule(UnaryKind kind, Tensor x, Tensor y, Tensor g) => kind switch
    {
        UnaryKind.Negate => -g,
        UnaryKind.Abs => g * x.Sign(),
        UnaryKind.Square => g * x * 2,
        UnaryKind.Reciprocal => -(g * y.Square()),
        UnaryKind.Sqrt => g * 0.5 / y,
        UnaryKind.Rsqrt => g * -0.5 * (y * y.Square()),
        UnaryKind.Exp => g * y,
        UnaryKind.Expm1 => g * (y + 1),
        UnaryKind.Log => g / x,
        UnaryKind.Log1p => g / (x + 1),
        UnaryKind.Sin => g * x.Cos(),
        UnaryKind.Cos => -(g * x.Sin()),
        UnaryKind.Tanh => g * (1 - y.Square()),
        UnaryKind.Sigmoid => g * (y * (1 - y)),
        UnaryKind.Softplus => g * x.Sigmoid(),
        UnaryKind.Relu => Tensor.Select(y > 0, g, Zero(g)),
        UnaryKind.Erf => g * ((-x.Square()).Exp() * (2 / Math.Sqrt(Math.PI))),
        UnaryKind.Sign or UnaryKind.Floor or UnaryKind.Round => null,
        _ => throw new NotSupportedException($"op {kind} has no derivative"),
    };

    private static (Tensor? A, Tensor? B) BinaryRule(BinaryKind kind, Tensor a, Tensor b, Tensor y, Tensor g) => kind switch
    {
        BinaryKind.Add => (g, g),
        BinaryKind.Subtract => (g, -g),
        BinaryKind.Multiply => (g * b, g * a),
        BinaryKind.Divide => (g / b, -(g * y / b)),
        BinaryKind.Maximum => (Tensor.Select(a >= b, g, Zero(g)), Tensor.Select(a >= b, Zero(g), g)),
        BinaryKind.Minimum => (Tensor.Select(a <= b, g, Zero(g)), Tensor.Select(a <= b, Zero(g), g)),
        BinaryKind.Power => (g * b * a.Pow(b - 1), g * y * Tensor.Select(a > 0, a, a.Graph.Constant(1)).Log()),
        BinaryKind.Modulo => (g, -(g * (a / b).Floor())),
        BinaryKind.FloorDivide => (null, null),
        _ => throw new NotSupportedException($"op {kind} has no derivative"),
    };

    private static Tensor ReduceRule(Reduce op, Tensor x, Tensor g)
    {
        var kept = op.Axes.ToArray().Aggregate(x.Shape, (shape, axis) => shape.With(axis, 1));
        g = g.Reshape(kept);
        if (op.Kind == ReduceKind.Sum) return g.BroadcastTo(x.Shape);
        if (op.Axes.Count != 1) throw new NotSupportedException("the derivative of a maximum over several axes at once is not defined here: reduce one axis at a time");
        int axis = op.Axes[0];
        var winner = (op.Kind == ReduceKind.Max ? x.ArgMax(axis) : x.ArgMin(axis)).Reshape(kept);
        var positions = new int[x.Shape.Rank];
        Array.Fill(positions, 1);
        positions[axis] = x.Shape[axis];
        return Tensor.Select(x.Graph.Iota(TensorType.Int(positions), axis).EqualTo(winner), g, Zero(g));
    }

    /// <summary>Rows that were replaced have no part in the result; nor have rows that a later one took the place of.</summary>
    private static Tensor?[] SetRowsRule(Tensor indices, Shape rows, Tensor g)
    {
        int count = (int)indices.Shape.Elements;
        var numbers = g.Graph.Iota(TensorType.Int([count])).Reshape(indices.Shape);
        // The number of the row that stays in each place, as each row sees it.
        var staying = g.Graph.Constant(TensorType.Int(Shape.Scalar), 0).BroadcastTo([g.Shape[0]]).SetRows(indices, numbers).Gather(indices);
        Shape aligned = (int[])[.. indices.Shape, .. Enumerable.Repeat(1, rows.Rank - indices.Shape.Rank)];
        var taken = g.Gather(indices);
        return [g.SetRows(indices, Zero(g).BroadcastTo(rows)), null, Tensor.Select(staying.EqualTo(numbers).Reshape(aligned), taken, Zero(g))];
    }

    private static Tensor SliceRule(Slice op, Shape source, Tensor g)
    {
        for (int axis = 0; axis < source.Rank; axis++)
        {
            int size = op.Sizes[axis], step = op.Steps[axis], start = op.Starts[axis];
            if (step > 1 && size > 0)
            {
                // Put step-1 zeros after every element, then drop the ones after the last.
                var spread = g.Expand(axis + 1).Pad(axis + 1, 0, step - 1).Reshape(g.Shape.With(axis, size * step));
                size = (size - 1) * step + 1;
                g = spread.Slice(axis, 0, size);
            }
            if (size != source[axis]) g = g.Pad(axis, start, source[axis] - start - size);
        }
        return g;
    }
}
