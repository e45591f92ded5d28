using Engine.Algorithms.Data;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// A dataset on the device: all of it, or two shards of a larger one. A column is put there when an update first reads it. Which shards are resident is a function of the step alone, so a resumed run sees the same ones: shards
/// come in an order that is shuffled anew every time all have been there, and every so many updates the older resident makes room for the next.
/// </summary>
public class ResidentRows : Rows
{
    private const string TransitionRows = "transition_rows", EndRows = "end_rows", FirstRows = "first_rows", CountRows = "counts";

    private readonly TrainingData _data, _scale;
    private readonly State _state;
    private readonly RewardTransform _rewards;
    private readonly ulong _seed;
    private readonly int _updates, _capacity;
    private readonly Dictionary<string, (Variable Variable, Func<DataTable, int, Array> Of)> _resident = [];
    private readonly int[] _places = [-1, -1]; // in the order of shards, by slot
    private readonly DataTable?[] _tables = new DataTable?[2];

    /// <summary>Opens a dataset; columns follow when they are read.</summary>
    /// <param name="source">The source's name.</param>
    /// <param name="data">The rows.</param>
    /// <param name="state">Where they go.</param>
    /// <param name="rewards">How rewards are changed.</param>
    /// <param name="seed">Of the order of shards.</param>
    /// <param name="updates">Updates after which the older of two resident shards is replaced.</param>
    /// <param name="scale">Whose returns scale the rewards; null: the dataset's own.</param>
    public ResidentRows(string source, TrainingData data, State state, RewardTransform rewards, ulong seed, int updates, TrainingData? scale = null)
    {
        _scale = scale ?? data;
        (Source, _data, _state, _rewards, _seed, _updates, _capacity) = (source, data, state, rewards, seed, updates, data.LargestTable);
        if (Sharded) MakeResident(0);
        else _tables[0] = data.Shard(0);
    }

    /// <summary>Whether an update has read a column.</summary>
    public bool Reads(string column) => _resident.ContainsKey(column) || _resident.ContainsKey($"{column}.kept");

    private bool Sharded => _data.Shards > 1;

    private int Slots => Sharded ? 2 : 1;

    /// <inheritdoc/>
    public override string Source { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns => _data.Columns;

    /// <inheritdoc/>
    public override Tensor Count(Graph graph)
    {
        if (!Sharded) return Int(graph, _data.Count);
        var counts = Counts(graph);
        return counts.At(0, 0) + counts.At(0, 1);
    }

    private Tensor Counts(Graph graph) => Resident(graph, CountRows, DType.I32, [2], (table, _) => new[] { table.Transitions.Length });

    /// <inheritdoc/>
    public override Tensor Transition(Tensor number)
    {
        var graph = number.Graph;
        if (!Sharded && _tables[0]!.Rows == _data.Count) return number;
        if (Sharded)
        {
            // The second slot begins where the first may end at most.
            var first = Counts(graph).At(0, 0);
            number = Tensor.Select(number < first, number, number - first + Int(graph, _capacity));
        }
        return Resident(graph, TransitionRows, DType.I32, [Slots * _capacity], (table, offset) => Moved(table.Transitions, offset)).Gather(number);
    }

    private static int[] Moved(int[] rows, int offset) => offset == 0 ? rows : Array.ConvertAll(rows, r => r + offset);

    /// <inheritdoc/>
    public override Tensor After(Tensor at, Tensor steps) => at + steps;

    /// <inheritdoc/>
    public override Tensor Left(Tensor at) => Ends(at) - at;

    /// <inheritdoc/>
    public override Tensor Successor(string name, Tensor at) => Table(at.Graph, name).Gather(at + Int(at.Graph, 1));

    /// <inheritdoc/>
    public override Tensor Later(string name, Tensor at, Tensor steps) => Table(at.Graph, name).Gather(at + steps);

    /// <inheritdoc/>
    public override Tensor First(Tensor at) => Resident(at.Graph, FirstRows, DType.I32, [Slots * _capacity], (table, offset) => Moved(table.Firsts(), offset)).Gather(at);

    /// <inheritdoc/>
    public override Tensor ReturnsToGo(Tensor at, double discount) =>
        Resident(at.Graph, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"returns_to_go[{discount}]"), DType.F32, [Slots * _capacity], (table, _) => table.ReturnsToGo(Rewards(table), discount)).Gather(at);

    private float[] Rewards(DataTable table) => _rewards.Apply((float[])table["rewards"], _scale);

    private Tensor Ends(Tensor at) => Resident(at.Graph, EndRows, DType.I32, [Slots * _capacity], (table, offset) => Moved(table.Ends, offset)).Gather(at);

    /// <inheritdoc/>
    public override Tensor Table(Graph graph, string name)
    {
        var column = Find(name);
        return Resident(graph, name, column.Type, [Slots * _capacity, .. column.Shape], (table, _) => name == "rewards" ? Rewards(table) : table[name]);
    }

    /// <inheritdoc/>
    public override Tensor Draw(Graph graph, string draw, int count, string? weight)
    {
        if (weight is null) return base.Draw(graph, draw, count, weight);
        if (Sharded) throw new SettingsException($"rows of {_data.Source} cannot be weighted by {weight}: it is in shards, and weights are of datasets in memory");
        if (Find(weight).Type != DType.F32 || Find(weight).Width != 1) throw new SettingsException($"rows cannot be weighted by {weight}: expected a column with one number a row");
        // Walker's alias method (Vose 1991): one transition of all alike, kept with a chance or exchanged for another, gives every chance exactly.
        var (kept, other) = Alias(_tables[0]!.AtTransitions(weight), $"{_data.Source}: {weight}");
        var number = graph.Random.Integer(draw, [count], Count(graph));
        var stays = graph.Random.Uniform($"{draw}.weight", [count]) < Resident(graph, $"{weight}.kept", DType.F32, [_data.Count], (_, _) => kept).Gather(number);
        return Transition(Tensor.Select(stays, number, Resident(graph, $"{weight}.other", DType.I32, [_data.Count], (_, _) => other).Gather(number)));
    }

    /// <summary>For every place the chance to keep it, and the place that is taken otherwise.</summary>
    internal static (float[] Kept, int[] Other) Alias(float[] weights, string name)
    {
        double sum = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (!(weights[i] >= 0) || !float.IsFinite(weights[i])) throw new DatasetException($"{name}, transition {i} is {weights[i]}: a weight is a finite number, at least 0");
            sum += weights[i];
        }
        if (sum == 0) throw new DatasetException($"{name}: all weights are 0");
        var (kept, other) = (new float[weights.Length], Enumerable.Range(0, weights.Length).ToArray());
        var scaled = Array.ConvertAll(weights, w => w / sum * weights.Length);
        var (small, large) = (new Stack<int>(), new Stack<int>());
        for (int i = 0; i < scaled.Length; i++) (scaled[i] < 1 ? small : large).Push(i);
        while (small.Count > 0 && large.Count > 0)
        {
            var (less, more) = (small.Pop(), large.Peek());
            (kept[less], other[less]) = ((float)scaled[less], more);
            scaled[more] -= 1 - scaled[less];
            if (scaled[more] < 1) small.Push(large.Pop());
        }
        foreach (int i in small.Concat(large)) kept[i] = 1; // what rounding left over
        return (kept, other);
    }

    /// <summary>The values of a variable, which is added and filled when it is asked for first. Each slot has an equal part of it.</summary>
    /// <param name="graph">Where it is read.</param>
    /// <param name="name">Its name after the source's.</param>
    /// <param name="type">Of a number.</param>
    /// <param name="shape">Of the whole.</param>
    /// <param name="of">The values of a table whose first row has a number.</param>
    protected Tensor Resident(Graph graph, string name, DType type, Shape shape, Func<DataTable, int, Array> of)
    {
        if (!_resident.TryGetValue(name, out var known))
        {
            _resident[name] = known = (_state.AddZeros($"data.{Source}.{name}", new TensorType(type, shape), VariableKind.Data), of);
            for (int slot = 0; slot < Slots; slot++) Fill(known, slot);
        }
        return graph.Read(known.Variable);
    }

    private void Fill((Variable Variable, Func<DataTable, int, Array> Of) column, int slot)
    {
        long at = slot * column.Variable.Type.Elements / Slots;
        switch (column.Of(_tables[slot]!, slot * _capacity))
        {
            case float[] floats: _state.WriteAt(column.Variable.Name, at, floats); break;
            case int[] ints: _state.WriteAt(column.Variable.Name, at, ints); break;
            case byte[] bytes: _state.WriteBytesAt(column.Variable.Name, at, bytes); break;
        }
    }

    /// <summary>Loads what update <paramref name="step"/> draws from; returns the step at which that changes.</summary>
    public int MakeResident(int step)
    {
        if (!Sharded) return int.MaxValue;
        int first = step / _updates;
        for (int place = first; place < first + 2; place++)
        {
            int slot = place % 2;
            if (_places[slot] == place) continue;
            _tables[slot] = _data.Shard(ShardAt(place));
            foreach (var column in _resident.Values) Fill(column, slot);
            _places[slot] = place;
        }
        return (first + 1) * _updates;
    }

    /// <summary>The shard at a place of the endless order.</summary>
    private int ShardAt(int place)
    {
        int count = _data.Shards;
        var order = Enumerable.Range(0, count).ToArray();
        new PhiloxStream(_seed, $"shards[{place / count}]").Shuffle(order);
        return order[place % count];
    }
}
