using System.Runtime.InteropServices;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// A ring of experience on the device. Each step of all copies of the environment is appended as so many rows, one after another in the order of the copies, by a program that writes in place and is never compiled anew. The next row of a
/// trajectory is so many rows further as there are copies. The observation after a transition is a column: so the newest transition can be drawn at once, and rows that end an episode take no room. A row's <c>end</c> is the last
/// row of its episode, -1 while the episode goes on.
/// </summary>
public sealed partial class ReplayBuffer : Rows, IDisposable
{
    private const string NextName = "next_observations", EndName = "end";
    private const int RowsPerClose = 64;

    private readonly State _state;
    private readonly Variable _written, _end;
    private readonly IReadOnlyList<BatchColumn> _stored; // the columns, and the observations after them
    private readonly Dictionary<string, Variable> _tables = [];
    private readonly Program _append, _close;
    private readonly int[] _closing = new int[RowsPerClose], _lastRows = new int[RowsPerClose];
    private readonly int[] _episode; // the number of the row that each copy's episode began with
    private readonly bool[] _ends; // whether a row ends its episode
    private int _count, _saved, _kept;

    // Since the mark, for a replay: steps of the appends; in their order rows that made room and (null) rows whose end was set; and the copies' episodes at the mark.
    private readonly List<int> _steps = [];
    private readonly List<(int First, byte[][]? Rows, bool[] Ends)> _changes = [];
    private int[] _episodeAtMark;
    private int _marked;
    private Queue<(int Step, byte[][] Rows, bool[] Ends)> _replay = [];

    /// <summary>An empty ring.</summary>
    /// <param name="source">The source's name.</param>
    /// <param name="state">Where it lies.</param>
    /// <param name="spaces">What is seen and done.</param>
    /// <param name="capacity">Rows, rounded up to a multiple of the copies.</param>
    /// <param name="copies">Rows that are appended at once.</param>
    public ReplayBuffer(string source, State state, Spaces spaces, int capacity, int copies)
    {
        if (capacity < 2 * copies) throw new SettingsException($"a buffer of {capacity} rows is too small for {copies} copies of the environment: expected at least {2 * copies}");
        (Source, _state, Copies, Capacity) = (source, state, copies, (capacity + copies - 1) / copies * copies);
        Columns = BatchColumn.Recorded(spaces);
        _stored = [.. Columns, Columns[0] with { Name = NextName }];
        (_episode, _ends) = (Enumerable.Range(0, copies).ToArray(), new bool[Capacity]);
        _episodeAtMark = (int[])_episode.Clone();
        foreach (var column in _stored) _tables[column.Name] = state.AddZeros($"buffer.{source}.{column.Name}", column.Rows(Capacity), VariableKind.Data);
        _end = state.AddZeros($"buffer.{source}.{EndName}", TensorType.Int([Capacity]), VariableKind.Data);
        _written = state.AddZeros($"buffer.{source}.written", TensorType.Int([1]));
        _append = Program.Trace(state, graph =>
        {
            var first = Cursor(graph);
            var at = graph.Iota(TensorType.Int([copies])) + first;
            foreach (var (name, table) in _tables)
            {
                var type = _stored.First(c => c.Name == name).Rows(copies);
                graph.Assign(table, graph.Read(table).SetRows(at, graph.Input(name, TensorType.Float(type.Shape)).Cast(type.DType)));
            }
            graph.Assign(_end, graph.Read(_end).SetRows(at, graph.Constant(TensorType.Int([copies]), -1)));
            graph.Assign(_written, graph.Read(_written) + Int(graph, copies));
        });
        _close = Program.Trace(state, graph => graph.Assign(_end, graph.Read(_end).SetRows(graph.Input("rows", TensorType.Int([RowsPerClose])), graph.Input("last", TensorType.Int([RowsPerClose])))));
    }

    /// <inheritdoc/>
    public override string Source { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns { get; }

    /// <summary>Rows at most.</summary>
    public int Capacity { get; }

    /// <summary>Rows appended at once.</summary>
    public int Copies { get; }

    /// <summary>Rows appended so far, those that made room included.</summary>
    public int Written => _count;

    /// <summary>Rows that can be drawn.</summary>
    public int Size => Math.Min(_count, Capacity);

    private Tensor Total(Graph graph) => graph.Read(_written).Reshape(Shape.Scalar);

    private Tensor Cursor(Graph graph) => Total(graph).Modulo(Int(graph, Capacity));

    /// <inheritdoc/>
    public override Tensor Count(Graph graph) => Total(graph).Minimum(Int(graph, Capacity));

    /// <inheritdoc/>
    public override Tensor Transition(Tensor number) => number;

    /// <inheritdoc/>
    public override int Stride => Copies;

    /// <inheritdoc/>
    public override Tensor After(Tensor at, Tensor steps) => (at + steps * Int(at.Graph, Copies)).Modulo(Int(at.Graph, Capacity));

    /// <inheritdoc/>
    public override Tensor Left(Tensor at)
    {
        var graph = at.Graph;
        var (capacity, copies) = (Int(graph, Capacity), Int(graph, Copies));
        var end = graph.Read(_end).Gather(at);
        var newest = (Cursor(graph) + (capacity - copies)).Modulo(capacity) + at.Modulo(copies);
        var last = Tensor.Select(end < 0, newest, end);
        return ((last - at).Modulo(capacity)) / copies + 1;
    }

    /// <inheritdoc/>
    public override Tensor Successor(string name, Tensor at)
    {
        if (name == "observations") return at.Graph.Read(_tables[NextName]).Gather(at);
        // Of the last transition nothing is known of what follows: 0.
        var next = Table(at.Graph, name).Gather(After(at, Int(at.Graph, 1)));
        var follows = (Left(at) > 1).Cast(DType.F32);
        Shape shape = [.. follows.Shape, .. Enumerable.Repeat(1, next.Shape.Rank - follows.Shape.Rank)];
        return next * follows.Reshape(shape);
    }

    /// <inheritdoc/>
    public override Tensor Table(Graph graph, string name) => graph.Read(_tables[Find(name).Name]);

    /// <summary>Appends a step of all copies.</summary>
    /// <param name="step">The run's step, for a replay.</param>
    /// <param name="observations">[Copies, S]</param>
    /// <param name="actions">[Copies, A]</param>
    /// <param name="rewards">[Copies]</param>
    /// <param name="terminals">[Copies], 0 or 1.</param>
    /// <param name="next">[Copies, S]</param>
    /// <param name="ends">[Copies]: the episode ends with this row, by a terminal or a time limit.</param>
    public void Append(int step, ReadOnlySpan<float> observations, ReadOnlySpan<float> actions, ReadOnlySpan<float> rewards, ReadOnlySpan<float> terminals, ReadOnlySpan<float> next, ReadOnlySpan<bool> ends)
    {
        _steps.Add(step);
        int first = _count % Capacity;
        if (_count >= Capacity) _changes.Add((first, ReadRows(first, Copies), _ends.AsSpan(first, Copies).ToArray()));
        _append.Write("observations", observations);
        _append.Write("actions", actions);
        _append.Write("rewards", rewards);
        _append.Write("terminals", terminals);
        _append.Write(NextName, next);
        Append(ends);
    }

    private void Append(ReadOnlySpan<bool> ends)
    {
        _append.Run();
        int first = _count % Capacity;
        ends.CopyTo(_ends.AsSpan(first, Copies));
        _count += Copies;
        for (int copy = 0; copy < Copies; copy++)
        {
            if (!ends[copy]) continue;
            Close(copy, first + copy);
            _episode[copy] = _count + copy;
        }
    }

    /// <summary>Tells the rows of a copy's episode which their last is.</summary>
    private void Close(int copy, int last)
    {
        int number = _episode[copy], oldest = _count - Capacity;
        if (number < oldest) number += (oldest - number + Copies - 1) / Copies * Copies;
        while (number < _count)
        {
            int rows = 0;
            for (; rows < RowsPerClose && number < _count; number += Copies) _closing[rows++] = number % Capacity;
            for (int i = 0; i < rows; i++) _changes.Add((_closing[i], null, []));
            // What is left of a call says the last row's end again.
            _closing.AsSpan(rows).Fill(_closing[rows - 1]);
            Array.Fill(_lastRows, last);
            _close.Write("rows", _closing);
            _close.Write("last", _lastRows);
            _close.Run();
        }
    }

    /// <summary>Ends the episode of a copy with its newest row: what is appended next belongs to another.</summary>
    internal void Cut(int copy)
    {
        int newest = _count - Copies + copy;
        if (newest < 0 || _ends[newest % Capacity]) return;
        _ends[newest % Capacity] = true;
        Close(copy, newest % Capacity);
        _episode[copy] = _count + copy;
        _saved = Math.Min(_saved, _count - Copies); // the files have it without an end
        Mark();
    }

    private IEnumerable<Variable> Stored => _tables.Values.Append(_end);

    private static int RowBytes(Variable table) => (int)(table.Type.Bytes / table.Type.Shape[0]);

    private byte[][] ReadRows(int first, int count) => Stored.Select(table =>
    {
        var bytes = new byte[count * RowBytes(table)];
        _state.ReadBytesAt(table.Name, (long)first * RowBytes(table), bytes);
        return bytes;
    }).ToArray();

    private void WriteRows(int first, byte[][] rows)
    {
        foreach (var (table, bytes) in Stored.Zip(rows)) _state.WriteBytesAt(table.Name, (long)first * RowBytes(table), bytes);
    }

    /// <summary>Remembers this moment, for <see cref="Rewind"/>.</summary>
    internal void Mark()
    {
        _steps.Clear();
        _changes.Clear();
        (_marked, _episodeAtMark) = (_count, (int[])_episode.Clone());
    }

    /// <summary>Goes back to the mark; what was appended since then is appended again by <see cref="Replay"/>. The number of rows, a variable of the state, is the caller's to put back.</summary>
    internal void Rewind()
    {
        if (_count - _marked > Capacity) throw new InvalidOperationException($"{_count - _marked} rows were appended since the last line of metrics to a buffer of {Capacity}: a replay needs a larger buffer or more frequent lines");
        _replay = new(_steps.Select((step, i) =>
        {
            int first = (_marked + i * Copies) % Capacity;
            return (step, ReadRows(first, Copies), _ends.AsSpan(first, Copies).ToArray());
        }));
        byte[] open = BitConverter.GetBytes(-1);
        foreach (var (first, rows, ends) in Enumerable.Reverse(_changes))
        {
            if (rows is null) _state.WriteBytesAt(_end.Name, first * sizeof(int), open);
            else WriteRows(first, rows);
            ends.CopyTo(_ends, first);
        }
        _count = _marked;
        _episodeAtMark.CopyTo(_episode, 0);
        _steps.Clear();
        _changes.Clear();
    }

    /// <summary>Appends what was appended at a step.</summary>
    internal void Replay(int step)
    {
        while (_replay.TryPeek(out var next) && next.Step == step)
        {
            var (_, rows, ends) = _replay.Dequeue();
            foreach (var (column, bytes) in _stored.Zip(rows)) _append.Write(column.Name, Numbers(column.Type, bytes));
            Append(ends);
        }
    }

    /// <summary>Stored values as the numbers that are appended.</summary>
    private static float[] Numbers(DType type, byte[] bytes) => type switch
    {
        DType.F32 => MemoryMarshal.Cast<byte, float>(bytes).ToArray(),
        DType.I32 => Array.ConvertAll(MemoryMarshal.Cast<byte, int>(bytes).ToArray(), v => (float)v),
        _ => Array.ConvertAll(bytes, v => (float)v),
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        _append.Dispose();
        _close.Dispose();
    }
}
