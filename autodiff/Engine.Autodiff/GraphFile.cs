using System.Text.Json;
using System.Text.Json.Serialization;
using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>
/// A graph as JSON: ops with their attributes, inputs by number, names of inputs, outputs and variables. What it takes to run a program in a process that
/// does not have the code that traced it; the variables' values travel beside it (safetensors).
/// </summary>
public static class GraphFile
{
    private const int Version = 1;

    /// <summary>The graph as UTF-8 JSON.</summary>
    public static byte[] Write(Graph graph) =>
        JsonSerializer.SerializeToUtf8Bytes(new GraphDto(Version, Nodes(graph),
            graph.Outputs.ToDictionary(o => o.Key, o => Number(o.Value)),
            graph.Assigned.ToDictionary(a => a.Key, a => Number(a.Value))), GraphJson.Default.GraphDto);

    /// <summary>The graph of a text that <see cref="Write"/> made. Types are inferred anew, so a damaged file is refused.</summary>
    /// <exception cref="FormatException">Not such a text; the message says what is wrong.</exception>
    public static Graph Read(ReadOnlySpan<byte> json)
    {
        try
        {
            var dto = JsonSerializer.Deserialize(json, GraphJson.Default.GraphDto) ?? throw new FormatException("graph: the text is null");
            if (dto.Version != Version) throw new FormatException($"graph: version {dto.Version}, expected {Version}");
            var graph = new Graph();
            var tensors = Fill(graph, dto.Nodes, null, 0);
            foreach (var (name, reference) in dto.Outputs) graph.SetOutput(name, Resolve(tensors, reference));
            foreach (var (name, reference) in dto.Assigned) graph.SetAssigned(name, Resolve(tensors, reference));
            return graph;
        }
        catch (Exception e) when (e is JsonException or ArgumentException or NotSupportedException or InvalidOperationException or NullReferenceException or IndexOutOfRangeException or OverflowException)
        {
            throw new FormatException("graph: " + e.Message, e);
        }
    }

    private static int[] Number(Tensor tensor) => [tensor.Node.Id, tensor.Index];

    private static List<NodeDto> Nodes(Graph graph) => graph.Nodes.Select(node => new NodeDto(
        node.Op, node.Inputs.Select(Number).ToArray(), node.Scope.Length > 0 ? node.Scope : null,
        node.Body is { } body ? new BodyDto(Nodes(body), body.Results.Select(Number).ToArray()) : null)).ToList();

    private const int MaxDepth = 16;

    private static List<Tensor[]> Fill(Graph graph, List<NodeDto> nodes, Tensor[]? captured, int depth)
    {
        if (depth > MaxDepth) throw new FormatException($"graph: loops nested deeper than {MaxDepth}");
        var tensors = new List<Tensor[]>();
        foreach (var dto in nodes)
        {
            var inputs = Array.ConvertAll(dto.Inputs, r => Resolve(tensors, r));
            if (dto.Op is not Repeat repeat)
            {
                if (dto.Op is Capture capture && (captured is null || (uint)capture.Index >= (uint)captured.Length || captured[capture.Index].Type != capture.Type))
                    throw new FormatException($"graph: capture {capture.Index} does not match the loop's inputs");
                var types = dto.Op.Infer(Array.ConvertAll(inputs, t => t.Type));
                tensors.Add(graph.AppendTranslated(dto.Op, inputs, types, null, dto.Scope ?? "").Outputs);
                continue;
            }
            int at = repeat.Counted ? 1 : 0;
            if (dto.Body is null || repeat.CarriedCount < 0 || repeat.StackedCount < 0 || repeat.Max < 0 || inputs.Length < at + repeat.CarriedCount || dto.Body.Results.Length != repeat.CarriedCount + repeat.StackedCount)
                throw new FormatException($"graph: loop {tensors.Count} has the wrong number of inputs or results");
            var body = graph.NewBody(repeat.Max);
            var outer = inputs[(at + repeat.CarriedCount)..];
            var inner = Fill(body, dto.Body.Nodes, outer, depth + 1);
            var results = Array.ConvertAll(dto.Body.Results, r => Resolve(inner, r));
            body.SetBody(outer, results);
            for (int i = 0; i < repeat.CarriedCount; i++)
                if (results[i].Type != inputs[at + i].Type) throw new FormatException($"graph: carried value {i} of loop {tensors.Count} changes its type");
            TensorType[] outputs = [.. results.Take(repeat.CarriedCount).Select(t => t.Type), .. results.Skip(repeat.CarriedCount).Select(t => new TensorType(t.Type.DType, t.Shape.Insert(0, repeat.Max)))];
            tensors.Add(graph.AppendTranslated(repeat, inputs, outputs, body, dto.Scope ?? "").Outputs);
        }
        return tensors;
    }

    private static Tensor Resolve(List<Tensor[]> tensors, int[] reference) =>
        reference.Length == 2 && (uint)reference[0] < (uint)tensors.Count && (uint)reference[1] < (uint)tensors[reference[0]].Length
            ? tensors[reference[0]][reference[1]]
            : throw new FormatException($"graph: no tensor [{string.Join(",", reference)}] before node {tensors.Count}");
}

internal sealed record GraphDto(int Version, List<NodeDto> Nodes, Dictionary<string, int[]> Outputs, Dictionary<string, int[]> Assigned);

internal sealed record NodeDto(Op Op, int[][] Inputs, string? Scope, BodyDto? Body);

internal sealed record BodyDto(List<NodeDto> Nodes, int[][] Results);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GraphDto))]
internal sealed partial class GraphJson : JsonSerializerContext;
