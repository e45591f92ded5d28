using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>
/// Derivatives of every op of the table: first and second order against central differences in float64 (eps 1e-6, atol 1e-5, rtol 1e-3, the settings of
/// PyTorch's gradcheck), and the compiled gradient on the device against the interpreter.
/// </summary>
public class GradientTests
{
    private const double Epsilon = 1e-6, Absolute = 1e-5, Relative = 1e-3;

    public static TheoryData<int> Rows()
    {
        var rows = new TheoryData<int>();
        for (int i = 0; i < OpTable.Cases.Count; i++)
            if (OpTable.Cases[i].Differentiable && OpTable.Cases[i].Inputs.Sum(x => x.Type.Elements) is > 0 and < 300) rows.Add(i);
        return rows;
    }

    /// <summary>loss = sum of the outputs times fixed weights; then, for the second order, the sum of its gradients times other weights.</summary>
    private static (Graph Graph, Tensor[] Inputs, int[] Floats) Build(OpCase c)
    {
        var graph = new Graph();
        var inputs = c.Inputs.Select((x, i) => graph.Input($"x{i}", x.Type)).ToArray();
        var floats = Enumerable.Range(0, inputs.Length).Where(i => inputs[i].Type.DType == DType.F32).ToArray();
        var loss = graph.Constant(0);
        int weight = 0;
        foreach (var output in graph.Add(c.Op, inputs))
            if (output.Type.DType == DType.F32) loss += (output * Weights(graph, output.Shape, weight++)).Sum();
        graph.Output("loss", loss);
        var gradients = Gradients.Of(loss, floats.Select(i => inputs[i]).ToArray());
        var second = graph.Constant(0);
        for (int i = 0; i < floats.Length; i++)
        {
            graph.Output($"d{floats[i]}", gradients[i]);
            second += (gradients[i] * Weights(graph, gradients[i].Shape, weight++)).Sum();
        }
        graph.Output("second", second);
        foreach (int i in floats)
        {
            // A linear op's gradient does not depend on the input: its second derivative is zero, which the differences confirm.
            try { graph.Output($"dd{i}", Gradients.Of(second, inputs[i])[0]); }
            catch (InvalidOperationException) { graph.Output($"dd{i}", graph.Constant(inputs[i].Type, 0)); }
        }
        return (graph, inputs, floats);
    }

    private static Tensor Weights(Graph graph, Shape shape, int name) =>
        graph.Constant(TensorType.Float(shape), Array.ConvertAll(Sample.Normals(Math.Max(1, shape.Elements), $"weights{name}"), v => (double)v)[..(int)Math.Max(1, shape.Elements)]);

    private static Interpreter<double> Interpreter(OpCase c, Graph graph)
    {
        var interpreter = new Interpreter<double>(graph);
        for (int i = 0; i < c.Inputs.Length; i++)
        {
            var sample = c.Inputs[i];
            var stream = new PhiloxStream(3, $"{c.Op.Name}/{i}");
            var tensor = interpreter.Input($"x{i}");
            for (int k = 0; k < sample.Type.Elements; k++)
                tensor.Set(k, sample.Type.DType.IsFloat() ? (float)stream.NextUniform(sample.Low, sample.High) : (int)sample.Low + stream.NextInt((int)(sample.High - sample.Low)));
        }
        return interpreter;
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void First_and_second_derivatives_agree_with_central_differences(int row)
    {
        var c = OpTable.Cases[row];
        var (graph, inputs, floats) = Build(c);
        var interpreter = Interpreter(c, graph);
        interpreter.Run();
        var first = floats.ToDictionary(i => i, i => (double[])interpreter.Output($"d{i}").Floats.Clone());
        var second = floats.ToDictionary(i => i, i => (double[])interpreter.Output($"dd{i}").Floats.Clone());
        foreach (int i in floats)
        {
            var x = interpreter.Input($"x{i}").Floats;
            for (int k = 0; k < x.Length; k++)
            {
                double at = x[k];
                x[k] = at + Epsilon;
                interpreter.Run();
                double lossUp = interpreter.Output("loss").Floats[0], secondUp = interpreter.Output("second").Floats[0];
                x[k] = at - Epsilon;
                interpreter.Run();
                double lossDown = interpreter.Output("loss").Floats[0], secondDown = interpreter.Output("second").Floats[0];
                x[k] = at;
                Check(c, $"first derivative, input {i}[{k}]", first[i][k], (lossUp - lossDown) / (2 * Epsilon));
                Check(c, $"second derivative, input {i}[{k}]", second[i][k], (secondUp - secondDown) / (2 * Epsilon));
            }
        }
    }

    private static void Check(OpCase c, string what, double analytic, double numeric) =>
        Assert.True(Math.Abs(analytic - numeric) <= Absolute + Relative * Math.Abs(numeric), $"{c}: {what} is {analytic:R}, central differences give {numeric:R}");

    [Theory]
    [MemberData(nameof(Rows))]
    public void Compiled_gradients_agree_with_the_interpreter(int row)
    {
        var c = OpTable.Cases[row];
        var (graph, _, floats) = Build(c);
        var exact = Interpreter(c, graph);
        exact.Run();
        var naive = new Interpreter<float>(graph);
        using var device = new CpuDevice();
        using var state = new State(device);
        foreach (var options in new[] { new CompileOptions(), CompileOptions.None })
        {
            using var program = new Program(graph, state, options);
            foreach (var name in graph.Inputs.Keys)
            {
                var tensor = exact.Input(name);
                if (tensor.Type.DType == DType.I32)
                {
                    tensor.Ints.CopyTo(naive.Input(name).Ints, 0);
                    if (program.Compiled.Inputs.ContainsKey(name)) program.Write(name, tensor.Ints);
                }
                else if (tensor.Type.DType == DType.F32)
                {
                    Array.ConvertAll(tensor.Floats, v => (float)v).CopyTo(naive.Input(name).Floats, 0);
                    program.Write(name, naive.Input(name).Floats);
                }
                else
                {
                    tensor.Bools.CopyTo(naive.Input(name).Bools, 0);
                    program.Write(name, tensor.Bools);
                }
            }
            naive.Run();
            program.Run();
            foreach (int i in floats)
                foreach (string output in new[] { $"d{i}", $"dd{i}" })
                {
                    var e = exact.Output(output).Floats;
                    double limit = 3 * Sample.RelativeError(naive.Output(output).Floats, e) + 4e-7;
                    double error = Sample.RelativeError(program.Read(output), e);
                    Assert.True(error <= limit, $"{c}: {output} has error {error:E2} on the device, {limit:E2} is allowed");
                }
        }
    }

    [Fact]
    public void Inputs_of_a_composite_may_depend_on_one_another()
    {
        // d/dx of 0.75 x^2 + 0.25 x, through a composite that has no rule of its own.
        var graph = new Graph();
        var x = graph.Input("x", TensorType.Float([2]));
        graph.Output("dx", Gradients.Of(Graph.Apply(new Polyak(0.25), x.Square(), x).Sum(), x)[0]);
        var interpreter = new Interpreter<double>(graph);
        new[] { 3.0, -1.0 }.CopyTo(interpreter.Input("x").Floats, 0);
        interpreter.Run();
        Assert.Equal([4.75, -1.25], interpreter.Output("dx").Floats);
    }

    [Fact]
    public void Every_differentiable_op_has_a_rule_or_a_definition()
    {
        var without = OpTable.Cases.Where(c => c.Differentiable).Select(c => c.Op.GetType()).Distinct().Where(t => !Derivatives.HasRule(t) && !t.IsSubclassOf(typeof(Composite)));
        Assert.Empty(without.Select(t => t.Name));
    }

    [Fact]
    public void A_gradient_that_does_not_exist_is_an_error_that_says_so()
    {
        var graph = new Graph();
        var x = graph.Input("x", TensorType.Float([4]));
        Assert.Contains("does not depend", Assert.Throws<InvalidOperationException>(() => Gradients.Of(x.StopGradient().Sum(), x)).Message, StringComparison.Ordinal);
        Assert.Contains("does not depend", Assert.Throws<InvalidOperationException>(() => Gradients.Of(x.ArgMax(0).Cast(DType.F32), x)).Message, StringComparison.Ordinal);
        var (carried, _) = graph.Repeat(3, [x], (_, c) => ([c[0] * 2], []));
        Assert.Contains("unroll", Assert.Throws<NotSupportedException>(() => Gradients.Of(carried[0].Sum(), x)).Message, StringComparison.Ordinal);
        Assert.Throws<ShapeException>(() => Gradients.Of(x, x));
    }
}
