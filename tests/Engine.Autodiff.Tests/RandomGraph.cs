using Engine.Kernels;

namespace Engine.Autodiff.Tests;

/// <summary>Random graphs with variables that read each other, loops, aliases and draws.</summary>
internal static class RandomGraph
{
    public const int Size = 6, Variables = 4;

    public static void Trace(State state, Graph g, ulong seed)
    {
        var random = new PhiloxStream(seed, "graph");
        g.Random.Use(state[RandomDraws.StateName]);
        var pool = new List<Tensor> { g.Input("x", TensorType.Float([Size, Size])), g.Random.Normal("z", [Size, Size]) };
        for (int i = 0; i < 30; i++) Grow(g, pool, random, i, depth: 0, state);
        // The last values, some of them early ones again, become variables and outputs.
        for (int v = 0; v < Variables; v++)
            if (random.NextUnit() < 0.8) g.Assign(state[$"v{v}"], Pick(pool, random).Tanh());
        if (random.NextUnit() < 0.5)
        {
            var (a, b) = (g.Read(state["v0"]), g.Read(state["v1"]));
            g.Assign(state["v0"], b);
            g.Assign(state["v1"], a);
        }
        for (int o = 0; o < 3; o++) g.Output($"y{o}", Pick(pool, random));
        g.Output("old", g.ReadInitial("v2", TensorType.Float([Size, Size])));
        g.Random.Advance();
    }

    private static Tensor Pick(List<Tensor> pool, PhiloxStream random) =>
        // Mostly recent values, so that there are dead ones; sometimes an old one, so that lifetimes differ.
        random.NextUnit() < 0.7 ? pool[Math.Max(0, pool.Count - 1 - random.NextInt(4))] : pool[random.NextInt(pool.Count)];

    private static void Grow(Graph g, List<Tensor> pool, PhiloxStream random, int serial, int depth, State state)
    {
        Tensor a = Pick(pool, random), b = Pick(pool, random), c = Pick(pool, random);
        var variable = state[$"v{random.NextInt(Variables)}"];
        switch (random.NextInt(depth == 0 ? 26 : 19))
        {
            case 0: pool.Add((a * 0.5 + b).Tanh()); break;
            case 1: pool.Add(a.MatMul(b) * 0.2); break;
            case 2: pool.Add(Tensor.Select(a > b, c, a)); break;
            case 3: pool.Add(a.Transpose()); break;
            case 4: pool.Add(a.Reshape(Size * Size).Reshape(Size, Size)); break;
            case 5: pool.Add(a - a.MeanKeep(-1)); break;
            case 6: pool.Add(Tensor.Concat(0, a.Slice(0, 0, 2), b.Slice(0, 2, Size - 2))); break;
            case 7: pool.Add(a.Softmax() + b.Sigmoid()); break;
            case 8:
                // One layer, or several, of which others read what is between them.
                var layer = a.Linear(b, c.At(0, 0), Activation.Relu);
                while (random.NextUnit() < 0.5)
                {
                    if (random.NextUnit() < 0.3) pool.Add(layer.Tanh());
                    layer = layer.Linear(Pick(pool, random) * 0.2, c.At(0, 0), random.NextUnit() < 0.5 ? Activation.Relu : Activation.None);
                }
                pool.Add(layer.Tanh());
                break;
            case 9: pool.Add(a.Sum(0).BroadcastTo([Size, Size]).Tanh()); break;
            case 10: pool.Add(g.Read(variable)); break;
            case 11: pool.Add(a * a); break;
            case 12: pool.Add(a.StopGradient().Relu()); break;
            case 13:
                // Parts of two, and what comes of them by element and by row.
                var raw = b.Slice(-1, random.NextInt(3), 2, 1 + random.NextInt(3));
                var std = Tensor.Select((raw > -1) & (raw < 1), raw, raw.Clip(-1, 1)).Exp();
                var sample = (a.Slice(-1, 0, 2, 2) + std * c.Slice(-1, 1, 2)).Tanh();
                pool.Add((sample.Square() * -0.5 - std.Log()).Sum(-1).Expand(random.NextInt(2)).BroadcastTo([Size, Size]).Tanh());
                pool.Add(Tensor.Concat(-1, std, sample, raw).Tanh());
                break;
            case 14:
                // Rows of more elements than a thread takes, of which others read what is computed on the way, or a part where it lies.
                var wide = Tensor.Concat(-1, a, b, c, Pick(pool, random)) * 0.5;
                var product = wide * wide.Slice(0, 2, 1).Relu();
                var row = product.SumKeep(-1) * 0.1 - product.Square().MeanKeep(-1).Sqrt();
                if (random.NextUnit() < 0.5) row += product.Max(-1).Expand(-1) - wide.Min(-1).Expand(-1);
                pool.Add((a * row).Tanh());
                if (random.NextUnit() < 0.5) pool.Add(wide.Slice(0, 2, 3).Exp().Sum(0).Reshape(4, Size).Pad(0, 1, 1).Tanh());
                if (random.NextUnit() < 0.5) pool.Add(product.Slice(-1, 3, Size, 3).Tanh());
                break;
            case 15:
                // Numbers of all elements.
                Tensor mean = a.Mean(), deviation = (a - mean).Square(), share = (a > b).Cast(DType.F32).Mean();
                pool.Add((c * (deviation.Mean() + 0.1).Rsqrt() + share).Tanh());
                if (random.NextUnit() < 0.5) pool.Add((deviation - mean).Tanh());
                break;
            case 16:
                // An ensemble's smallest, and what every member makes of it.
                var members = Tensor.Concat(0, a, b, c).Reshape(3, Size, Size);
                var target = Pick(pool, random) + 0.9 * members.Min(0);
                pool.Add(((members - target) * 0.3).Tanh().At(0, random.NextInt(3)));
                if (random.NextUnit() < 0.5) pool.Add(((members - target).Square().Sum(0) * 0.3).Tanh());
                break;
            case 17:
                var whole = (a * 3).Cast(DType.I32);
                var odd = whole.Modulo(g.Constant(TensorType.Int([]), 2)).EqualTo(g.Constant(TensorType.Int([]), 1));
                pool.Add((Tensor.Select(odd | (b > c), whole, -whole).Cast(DType.F32) * 0.3 + a.Cast(DType.BF16).Cast(DType.F32)).Tanh());
                pool.Add(odd.Cast(DType.F32) - b);
                break;
            case 18: pool.Add((a - a.LogSumExp().Expand(-1)).Exp() * b.Max(0)); break;
            case 19: g.Assign(variable, (a + g.Read(variable)).Tanh()); break;
            case 20:
                var (carried, stacked) = g.Repeat(random.NextInt(4), [a, b], (body, start) =>
                {
                    var inner = new List<Tensor> { start[0], start[1], c };
                    for (int i = 0; i < 4; i++) Grow(body, inner, random, serial * 100 + i, depth + 1, state);
                    return ([Pick(inner, random), random.NextUnit() < 0.3 ? start[0] : Pick(inner, random)], [Pick(inner, random)]);
                });
                pool.AddRange(carried);
                if (stacked[0].Shape[0] > 0) pool.Add(stacked[0].At(0, 0));
                break;
            case 21:
                // Two steps of an optimiser, and sometimes slow copies of what they make, with other readers here and there.
                Tensor stepSize = g.Constant(0.1), correction = g.Constant(1.5), decay = g.Constant(0.99);
                foreach (var moving in new[] { variable, state[$"v{random.NextInt(Variables)}"] })
                {
                    var step = g.Add(new Adam(0.9, 0.99, 1e-3), g.Read(moving), Pick(pool, random), Pick(pool, random).Square(), Pick(pool, random), stepSize, correction, decay);
                    g.Assign(moving, step[0].Tanh());
                    if (random.NextUnit() < 0.7) pool.Add(Graph.Apply(new Polyak(0.1), Pick(pool, random), step[0]));
                    if (random.NextUnit() < 0.3) pool.Add(step[random.NextInt(3)]);
                }
                break;
            case 22:
                // The gradient of a minimum over an ensemble of three.
                Tensor w0 = Tensor.Concat(0, b, c, Pick(pool, random)).Reshape(3, Size, Size).StopGradient(), w1 = Tensor.Concat(0, c, b, a).Reshape(3, Size, Size).Slice(2, 1, 1).StopGradient();
                var q = a.MatMul(w0).Relu().MatMul(w0 * 0.5).Relu().MatMul(w1).Squeeze(-1);
                pool.Add(Gradients.Of((random.NextUnit() < 0.5 ? q.Min(0) : q.Max(0)).Sum(), a)[0].Tanh());
                break;
            case 23: pool.Add(Tensor.Select(c > 0, a.MatMul(b) * 0.2 + (c.MatMul(a) + Pick(pool, random)), g.Constant(0)).Tanh()); break;
            case 24:
                // The old value is read on the way to the new one and afterwards, or before.
                var old = g.Read(variable);
                var norm = old.Square().SumKeep(-1).Sqrt();
                var changed = (old * 0.9 + a * 0.1).Tanh();
                g.Assign(variable, changed);
                pool.Add((b * norm).Tanh());
                if (random.NextUnit() < 0.3) pool.Add((old - changed).Square().Mean() + c);
                break;
            default:
                var loss = (a.MatMul(b.StopGradient()) * 0.2).Tanh().Square().Mean() + (a * 0.1).Sum();
                pool.Add(Gradients.Of(loss, a)[0].Tanh());
                break;
        }
    }

    public static State NewState(Device device)
    {
        var state = new State(device);
        RandomDraws.AddState(state, 5);
        for (int v = 0; v < Variables; v++) state.Add($"v{v}", [Size, Size], Sample.Normals(Size * Size, $"v{v}"));
        return state;
    }

    /// <summary>The float variables that the graph changes.</summary>
    public static IEnumerable<string> Floats(Graph graph) => graph.Assigned.Where(a => a.Value.Type.DType == DType.F32).Select(a => a.Key);

    /// <summary>Outputs and variables after one run of the reference code.</summary>
    public static List<double[]> Interpret<T>(Graph graph, State state) where T : unmanaged, System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var interpreter = Sample.Interpret<T>(graph, new Dictionary<string, float[]> { ["x"] = Sample.Normals(Size * Size, "x") }, state);
        return graph.Outputs.Keys.Select(interpreter.Output).Concat(Floats(graph).Select(n => interpreter.Variable(n, TensorType.Float([Size, Size]))))
            .Select(t => Array.ConvertAll(t.Floats, double.CreateTruncating)).ToList();
    }

    /// <summary>Whether all numbers agree.</summary>
    public static bool Close(List<double[]> x, List<double[]> expected) =>
        x.Zip(expected).All(pair => pair.First.Zip(pair.Second).All(v => Math.Abs(v.First - v.Second) <= 1e-3 * (1 + Math.Abs(v.Second))));
}
