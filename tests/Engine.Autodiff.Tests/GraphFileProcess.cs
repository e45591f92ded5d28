using Engine.Kernels.Cpu;

namespace Engine.Autodiff.Tests;

/// <summary>The other process of the graph file test: loads a graph and its variables from a folder, runs it three times, writes the variables back.</summary>
internal static class GraphFileProcess
{
    public static int Main(string[] args)
    {
        var graph = GraphFile.Read(File.ReadAllBytes(Path.Combine(args[0], "graph.json")));
        using var device = new CpuDevice();
        using var state = new State(device);
        foreach (var (name, tensor) in graph.Initial.Concat(graph.Assigned))
        {
            if (state.Contains(name)) continue;
            state.AddZeros(name, tensor.Type);
            state.WriteBytes(name, File.ReadAllBytes(Path.Combine(args[0], name)));
        }
        using var program = new Program(graph, state);
        program.Run(3);
        foreach (var variable in state.Variables) File.WriteAllBytes(Path.Combine(args[0], variable.Name), state.ReadBytes(variable.Name));
        return 0;
    }
}
