namespace Engine.Kernels.Cuda.Tests;

/// <summary>
/// Random fused expressions with numbers for their inputs. Most work on one domain [outer, reduced, inner], whose sizes lie around every limit of the kernels; some do not, which the fallback computes.
/// </summary>
internal sealed class RandomExpression
{
    private sealed record Value(TensorType Type, Op? Op, int[] Arguments); // without an op: an input

    private readonly PhiloxStream _random;
    private readonly List<Value> _values = [];
    private readonly int[] _axes; // that reductions combine
    private readonly Shape _whole;

    /// <summary>The expression.</summary>
    public Fused Op { get; }

    /// <summary>Types of its inputs.</summary>
    public TensorType[] Types { get; }

    /// <summary>Their bytes.</summary>
    public byte[][] Inputs { get; }

    public RandomExpression(ulong seed)
    {
        _random = new PhiloxStream(seed, "expression");
        (_whole, _axes) = Domain();
        int steps = 2 + _random.NextInt(_random.NextInt(3) == 0 ? 20 : 9);
        while (_values.Count(v => v.Op is not null) < steps) Grow();

        int[] inputs = Numbers(v => v.Op is null), computed = Numbers(v => v.Op is not null);
        int[] place = new int[_values.Count]; // inputs come first
        for (int i = 0; i < inputs.Length; i++) place[inputs[i]] = i;
        for (int s = 0; s < computed.Length; s++) place[computed[s]] = inputs.Length + s;
        var results = computed.Where(v => Chance(0.2) || (v == computed[^1] && Chance(0.8)) || (_values[v].Type.Elements == 1 && Chance(0.4))).DefaultIfEmpty(computed[^1]).Select(v => place[v]).ToArray();
        Op = new Fused(inputs.Length, computed.Select(v => new FusedStep(_values[v].Op!, Array.ConvertAll(_values[v].Arguments, a => place[a]))).ToArray(), results);
        Types = Array.ConvertAll(inputs, i => _values[i].Type);
        Inputs = Array.ConvertAll(Types, Sample);
    }

    private int[] Numbers(Func<Value, bool> which) => Enumerable.Range(0, _values.Count).Where(v => which(_values[v])).ToArray();

    private bool Chance(double probability) => _random.NextUnit() < probability;

    private T Any<T>(params T[] choices) => choices[_random.NextInt(choices.Length)];

    // Sizes.

    private (Shape Whole, int[] Axes) Domain()
    {
        int[] few = [1, 2, 3, 5], rows = [1, 2, 4, 31, 33, 127, 130], small = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17];
        int[] outer, reduced, inner = [];
        switch (_random.NextInt(9))
        {
            case 0 or 8: // many elements, or few; nothing or one axis is reduced
                outer = Any<int[]>([Any(1, 3, 33, 1021, 1024, 1025, 2048, 4099)], [Any(2, 5, 33), Any(32, 64, 129)], [Any(17, 129), Any(61, 64, 100, 129)], [Any(1, 3), Any(16, 31, 32), Any(8, 24, 33)]);
                reduced = Any<int[]>([], [], [1]);
                break;
            case 1 or 2: // short rows of neighbours
                outer = Any<int[]>([Any(rows)], [Any(few), Any(rows)], []);
                reduced = Any<int[]>([Any(small)], [Any(small)], [Any(2, 4), Any(2, 4)]);
                break;
            case 3 or 4: // short rows of what are no neighbours
                outer = Any<int[]>([], [], [Any(few)]);
                reduced = Any<int[]>([Any(small)], [Any(small)], [Any(2, 3), Any(4, 5)]);
                inner = Any<int[]>([Any(rows)], [Any(few), Any(rows)]);
                break;
            default: // long rows
                outer = Any<int[]>([], [Any(1, 2, 4, 5, 9)], [2, Any(1, 3)]);
                reduced = Any<int[]>([Any(17, 18, 31, 32, 33, 63, 64, 100)], [Any(127, 128, 129, 130, 255, 256, 257)], [Any(1021, 1023, 1024, 1025)], [Any(3, 32, 43), Any(6, 11)], [Any(2047, 2048, 4100, 8191, 8192, 8193)]);
                if (reduced[0] > 2000) outer = Any<int[]>([], [2], [3]);
                if (Chance(0.05)) inner = [2];
                break;
        }
        int[] sizes = [.. outer, .. reduced, .. inner];
        return (sizes, Enumerable.Range(outer.Length, reduced.Length).ToArray());
    }

    /// <summary>The shape of rows, with the reduced axes or without.</summary>
    private Shape Row(bool keep) => (keep ? _whole.Select((size, axis) => _axes.Contains(axis) ? 1 : size) : _whole.Where((_, axis) => !_axes.Contains(axis))).ToArray();

    private Shape One() => Any<Shape>([], [1], Enumerable.Repeat(1, _whole.Rank).ToArray());

    private Shape Flat => new int[] { checked((int)_whole.Elements) };

    /// <summary>What an op computes may have all elements, one a row or one.</summary>
    private Shape Target() => _random.NextInt(20) switch { < 11 => _whole, < 15 => Row(true), < 17 => Row(false), < 19 => One(), _ => Flat };

    /// <summary>A shape that is broadcast to another.</summary>
    private Shape Shorter(Shape shape) => _random.NextInt(6) switch
    {
        0 => shape.Select(size => Chance(0.5) ? 1 : size).ToArray(),
        1 when shape.Rank > 0 => shape.Skip(1 + _random.NextInt(shape.Rank)).ToArray(),
        2 when shape == _whole => Row(true),
        3 => Any<Shape>([], [1], []) is var one && one.BroadcastsTo(shape) ? one : shape,
        _ => shape,
    };

    // Steps.

    private int Add(Value value)
    {
        _values.Add(value);
        return _values.Count - 1;
    }

    private void Step(Op op, params int[] arguments) => Add(new Value(op.Infer(Array.ConvertAll(arguments, a => _values[a].Type))[0], op, arguments));

    private int Input(DType type, Shape shape) => Add(new Value(new TensorType(type, shape), null, []));

    /// <summary>A value that is there, mostly a late one, or a new input.</summary>
    private int Find(DType type, Shape shape, bool exact)
    {
        int[] there = Numbers(v => v.Type.DType == type && (exact ? v.Type.Shape == shape : v.Type.Shape.BroadcastsTo(shape)));
        if (there.Length > 0 && Chance(0.75)) return there[Chance(0.6) ? Math.Max(0, there.Length - 1 - _random.NextInt(3)) : _random.NextInt(there.Length)];
        return Input(type, exact ? shape : Shorter(shape));
    }

    private void Grow()
    {
        var shape = Target();
        int kind = _random.NextInt(20);
        if (kind < 4 && _axes.Length > 0) Step(new Reduce((ReduceKind)_random.NextInt(3), Chance(0.97) ? _axes : [_random.NextInt(_whole.Rank)], Chance(0.6)), Find(DType.F32, _whole, exact: true));
        else if (kind == 4) Slice(shape);
        else if (kind == 5) Step(new Broadcast(shape), Find(Any(DType.F32, DType.F32, DType.I32, DType.Bool, DType.BF16, DType.U8), shape, exact: false));
        else if (kind == 6) Alias();
        else Elementwise(shape);
    }

    private void Elementwise(Shape shape)
    {
        // One argument has the shape, another place may be as short as it likes.
        int Whole(DType type) => Find(type, shape, exact: true);
        int Short(DType type) => Find(type, shape, exact: false);
        var type = Any(DType.F32, DType.I32, DType.BF16, DType.Bool, DType.U8);
        switch (_random.NextInt(12))
        {
            case 0 or 1: Step(new Unary((UnaryKind)_random.NextInt(20)), Whole(DType.F32)); break;
            case 2: Step(new Binary((BinaryKind)_random.NextInt(9)), Short(DType.F32), Whole(DType.F32)); break;
            case 3 or 4: Step(new Binary((BinaryKind)_random.NextInt(6)), Whole(DType.F32), Short(DType.F32)); break;
            case 5 when Chance(0.3): Step(new Unary(Any(UnaryKind.Negate, UnaryKind.Abs)), Whole(DType.I32)); break;
            case 5: Step(new Binary(Any(BinaryKind.Add, BinaryKind.Subtract, BinaryKind.Multiply, BinaryKind.Divide, BinaryKind.Maximum, BinaryKind.Minimum, BinaryKind.Modulo, BinaryKind.FloorDivide)), Whole(DType.I32), Short(DType.I32)); break;
            case 6: Step(new Compare((CompareKind)_random.NextInt(6)), Any(DType.F32, DType.I32) is var compared ? Whole(compared) : 0, Short(compared)); break;
            case 7: Step(new Logical((LogicalKind)_random.NextInt(3)), Short(DType.Bool), Whole(DType.Bool)); break;
            case 8: Step(new Select(), Short(DType.Bool), Any(DType.F32, DType.I32) is var selected ? Whole(selected) : 0, Short(selected)); break;
            case 9: Step(new Fma(), Whole(DType.F32), Whole(DType.F32), Whole(DType.F32)); break;
            case 10: Step(new Cast(Chance(0.3) && type != DType.BF16 ? Any(DType.I32, DType.Bool) : DType.F32), Whole(type)); break;
            default: Step(new Cast(type), Whole(DType.F32)); break;
        }
    }

    /// <summary>The same elements under another shape, of a step or of an input.</summary>
    private void Alias()
    {
        var shape = Target();
        int value = Find(Any(DType.F32, DType.F32, DType.Bool, DType.BF16, DType.U8), shape, exact: true);
        Step(Any<Op>(new StopGradient(), new Reshape(shape == _whole ? Flat : shape == Flat ? _whole : shape == Row(true) ? Row(false) : shape == Row(false) ? Row(true) : One())), value);
    }

    /// <summary>A part of an input, which others may read too.</summary>
    private void Slice(Shape shape)
    {
        int rank = shape.Rank;
        int[] there = Numbers(v => v.Op is null && v.Type.Shape.Rank == rank && Enumerable.Range(0, rank).All(axis => v.Type.Shape[axis] >= shape[axis]));
        bool whole = Chance(0.3);
        int input = there.Length > 0 && Chance(0.5) ? Any(there)
            : Input(Any(DType.F32, DType.F32, DType.F32, DType.I32, DType.Bool, DType.BF16, DType.U8), shape.Select(size => whole || Chance(0.4) ? size : Chance(0.5) ? 2 * size : size * Any(1, 2, 3) + _random.NextInt(4)).ToArray());
        var from = _values[input].Type.Shape;
        int[] starts = new int[rank], steps = new int[rank];
        for (int axis = 0; axis < rank; axis++)
        {
            steps[axis] = 1;
            while (Chance(0.4) && (shape[axis] - 1) * (steps[axis] + 1) < from[axis]) steps[axis]++;
            int most = from[axis] - 1 - (shape[axis] - 1) * steps[axis];
            starts[axis] = Chance(0.3) ? most : _random.NextInt(most + 1);
        }
        Step(new Slice(starts, shape.Dims, steps), input);
    }

    // Numbers.

    private byte[] Sample(TensorType type)
    {
        float[] special = [0f, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e-40f, float.MaxValue, 1e6f, -48001f];
        var tensor = new ReferenceTensor<float>(type);
        for (int i = 0; i < type.Elements; i++)
            switch (type.DType)
            {
                case DType.I32: tensor.Ints[i] = Chance(0.05) ? Any(int.MaxValue, int.MinValue, 0, -1) : _random.NextInt(19) - 9; break;
                case DType.U8: tensor.Bytes[i] = (byte)_random.NextInt(256); break;
                case DType.Bool: tensor.Bools[i] = (byte)_random.NextInt(2); break;
                default: tensor.Floats[i] = Chance(0.01) ? Any(special) : (float)_random.NextUniform(-3, 3); break;
            }
        return OpCheck.Encode(tensor);
    }
}
