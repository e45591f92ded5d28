using Engine.Kernels.Cuda.Driver;
using static Engine.Kernels.Cuda.Driver.CudaDriver;
using static Engine.Kernels.Cuda.Driver.CudaError;

namespace Engine.Kernels.Cuda;

/// <summary>The part that makes CUDA graphs of the launches.</summary>
internal sealed unsafe partial class CudaSchedule
{
    private const int Relaxed = 2; // other threads may call the driver while this one captures

    /// <summary>Cuts the plan where the host must act.</summary>
    private static Part[] Divide(Node[] nodes)
    {
        var parts = new List<Part>();
        for (int i = 0; i < nodes.Length;)
        {
            if (nodes[i].OnHost)
            {
                parts.Add(new Part { Loop = nodes[i].Loop, Body = Divide(nodes[i].Body) });
                i++;
                continue;
            }
            int from = i;
            while (i < nodes.Length && !nodes[i].OnHost) i++;
            var graph = nodes[from..i];
            if (Array.Exists(graph, HasWork)) parts.Add(new Part { Graph = graph, Launches = CountLaunches(graph) });
        }
        return parts.ToArray();
    }

    private static bool HasWork(Node node) => node.Loop is { } loop ? loop.Max > 0 && Array.Exists(node.Body, HasWork) : node.To > node.From;

    private void RunParts(Part[] parts)
    {
        foreach (var part in parts)
        {
            if (part.Loop is not { } loop)
            {
                if (part.Exec.Value == 0) part.Exec = Instantiate(part.Graph);
                Check(cuGraphLaunch(part.Exec, _device.Queue));
                _device.CountGraph(part.Launches);
                continue;
            }
            int count = CountOf(loop);
            for (int i = 0; i < count; i++)
            {
                WriteIndex(loop, i, _device.Queue);
                RunParts(part.Body);
            }
        }
    }

    private CudaGraphExec Instantiate(Node[] nodes)
    {
        var graph = Build(nodes);
        try
        {
            Check(cuGraphInstantiate(out var exec, graph, 0));
            return exec;
        }
        finally
        {
            _ = cuGraphDestroy(graph);
        }
    }

    private CudaGraph Build(Node[] nodes)
    {
        var steps = Array.FindAll(nodes, HasWork);
        var before = _device.Concurrent ? Dependencies.Of(Array.ConvertAll(steps, Touches)) : InOrder(steps.Length);
        var runs = Runs(steps, before);
        if (runs.Count == 1 && runs[0][0] is var only && steps[only].Loop is null) return Capture(Array.ConvertAll(runs[0].ToArray(), s => steps[s]));
        Check(cuGraphCreate(out var graph, 0));
        try
        {
            var done = new CudaGraphNode[steps.Length]; // the graph's node that ends a step
            foreach (var run in runs)
            {
                var waits = Array.ConvertAll(before[run[0]], b => done[b]).Distinct().ToArray();
                var end = steps[run[0]].Loop is { } loop ? AppendSteps(graph, waits, loop, steps[run[0]].Body) : Append(graph, waits, Capture(run.ConvertAll(s => steps[s]).ToArray()), destroy: true);
                foreach (int step in run) done[step] = end;
            }
            return graph;
        }
        catch
        {
            _ = cuGraphDestroy(graph);
            throw;
        }
    }

    private static int[][] InOrder(int count) => Enumerable.Range(0, count).Select(i => i == 0 ? Array.Empty<int>() : [i - 1]).ToArray();

    /// <summary>Kernels that follow one another with nothing beside them are captured together.</summary>
    private static List<List<int>> Runs(Node[] steps, int[][] before)
    {
        var followers = new int[steps.Length];
        foreach (int b in before.SelectMany(b => b)) followers[b]++;
        var runs = new List<List<int>>();
        var ends = new Dictionary<int, List<int>>(); // by the last step of a run
        for (int step = 0; step < steps.Length; step++)
        {
            bool follows = steps[step].Loop is null && before[step] is [var one] && steps[one].Loop is null && followers[one] == 1;
            if (!follows || !ends.Remove(before[step][0], out var run)) runs.Add(run = []);
            run.Add(step);
            ends[step] = run;
        }
        return runs;
    }

    private (MemoryRange[] Reads, MemoryRange[] Writes) Touches(Node node)
    {
        if (node.Loop is { } loop)
        {
            var body = Array.ConvertAll(Array.FindAll(node.Body, HasWork), Touches);
            return (body.SelectMany(b => b.Reads).Distinct().ToArray(), body.SelectMany(b => b.Writes).Append(MemoryRange.Of(loop.Index)).Distinct().ToArray());
        }
        var writes = Array.ConvertAll(node.Call!.Outputs, MemoryRange.Of);
        return (Array.ConvertAll(node.Call.Inputs, MemoryRange.Of), node.ScratchBytes == 0 ? writes : [.. writes, new MemoryRange(_scratchSlot, node.ScratchStart, node.ScratchStart + node.ScratchBytes)]);
    }

    private CudaGraphNode AppendSteps(CudaGraph graph, CudaGraphNode[] waits, Loop loop, Node[] body)
    {
        var step = Build(body);
        try
        {
            for (int i = 0; i < loop.Max; i++)
            {
                int number = i;
                waits = [Append(graph, waits, Capture(() => WriteIndex(loop, number, _device.CaptureStream)), destroy: true)];
                waits = [Append(graph, waits, step, destroy: false)];
            }
            return waits[0];
        }
        finally
        {
            _ = cuGraphDestroy(step);
        }
    }

    /// <summary>Adds a graph (the driver makes a copy of it) after some nodes.</summary>
    private static CudaGraphNode Append(CudaGraph graph, CudaGraphNode[] waits, CudaGraph child, bool destroy)
    {
        CudaStatus status;
        CudaGraphNode node;
        fixed (CudaGraphNode* before = waits) status = cuGraphAddChildGraphNode(out node, graph, before, (nuint)waits.Length, child);
        if (destroy) _ = cuGraphDestroy(child);
        Check(status, nameof(cuGraphAddChildGraphNode));
        return node;
    }

    private CudaGraph Capture(Node[] kernels) => Capture(() =>
    {
        foreach (var node in kernels)
            for (int i = node.From; i < node.To; i++) Send(i, node, _device.CaptureStream);
    });

    /// <summary>What is sent to the capture stream, as a graph. If it fails, the stream captures no more.</summary>
    private CudaGraph Capture(Action send)
    {
        Check(cuStreamBeginCapture(_device.CaptureStream, Relaxed));
        try
        {
            send();
        }
        catch
        {
            if (cuStreamEndCapture(_device.CaptureStream, out var broken) == CudaStatus.Success) _ = cuGraphDestroy(broken);
            throw;
        }
        Check(cuStreamEndCapture(_device.CaptureStream, out var graph));
        return graph;
    }

    private void DiscardGraphs(Part[] parts)
    {
        foreach (var part in parts)
        {
            DiscardGraphs(part.Body);
            if (part.Exec.Value == 0) continue;
            _device.Discard(0, part.Exec);
            part.Exec = default;
        }
    }
}
