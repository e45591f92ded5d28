using System.Numerics;
using Engine.Kernels;

namespace Engine.Autodiff.Tests;

/// <summary>Numbers for graphs' inputs: the same in every precision, rounded to float32.</summary>
internal static class Sample
{
    public static float[] Normals(long n, string name, double scale = 1)
    {
        var stream = new PhiloxStream(7, name);
        return Enumerable.Range(0, (int)n).Select(_ => (float)(scale * stream.NextNormal())).ToArray();
    }

    /// <summary>All passes on, then each of them off by itself.</summary>
    public static IEnumerable<CompileOptions> EachPassOff() => [new CompileOptions(), .. CompileOptions.Names.Select(pass => new CompileOptions().Without(pass))];

    /// <summary>All passes off, then each of them on by itself.</summary>
    public static IEnumerable<CompileOptions> EachPassAlone() => [CompileOptions.None, .. CompileOptions.Names.Select(pass => CompileOptions.None.With(pass))];

    /// <summary>Runs a graph in the interpreter with float inputs by name.</summary>
    public static Interpreter<T> Interpret<T>(Graph graph, IReadOnlyDictionary<string, float[]> inputs, State? state = null) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var interpreter = new Interpreter<T>(graph);
        if (state is not null) interpreter.Load(state);
        foreach (var (name, values) in inputs) Array.ConvertAll(values, T.CreateTruncating).CopyTo(interpreter.Input(name).Floats, 0);
        interpreter.Run();
        return interpreter;
    }

    /// <summary>Runs a graph on a device with float inputs by name and returns its float outputs.</summary>
    public static Dictionary<string, float[]> Run(Graph graph, State state, IReadOnlyDictionary<string, float[]> inputs, CompileOptions? options = null)
    {
        using var program = new Program(graph, state, options);
        foreach (var (name, values) in inputs) program.Write(name, values);
        program.Run();
        return graph.Outputs.Keys.ToDictionary(name => name, program.Read);
    }

    /// <summary>Asserts that two runs gave the same bits.</summary>
    public static void SameBits(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual, string what = "")
    {
        foreach (string name in expected.Keys) Assert.True(expected[name].Select(BitConverter.SingleToInt32Bits).SequenceEqual(actual[name].Select(BitConverter.SingleToInt32Bits)), $"{name} differs {what}");
    }

    /// <summary>||x - e|| / ||e||</summary>
    public static double RelativeError(IReadOnlyList<float> x, IReadOnlyList<double> e)
    {
        double difference = 0, norm = 0;
        for (int i = 0; i < e.Count; i++)
        {
            difference += (x[i] - e[i]) * (x[i] - e[i]);
            norm += e[i] * e[i];
        }
        return Math.Sqrt(difference / Math.Max(norm, 1e-300));
    }
}
