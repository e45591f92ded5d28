using Engine.Algorithms.Data;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>
/// The transitions on the device: all of them, or two shards of a larger set. Which shards are resident is a function of the step alone, so a resumed run sees the same ones: shards come in
/// an order that is shuffled anew every time all have been there, and every so many updates the older resident makes room for the next.
/// </summary>
internal sealed class ResidentShards
{
    /// <summary>In front of the columns' names.</summary>
    public const string Prefix = "data.";

    private const string Counts = Prefix + "rows";

    private readonly TrainingData _data;
    private readonly State _state;
    private readonly RewardTransform _rewards;
    private readonly ulong _seed;
    private readonly int _updates, _capacity;
    private readonly int[] _resident = [-1, -1]; // place in the order, by slot

    public ResidentShards(TrainingData data, State state, RewardTransform rewards, ulong seed, int updates)
    {
        (_data, _state, _rewards, _seed, _updates, _capacity) = (data, state, rewards, seed, updates, data.LargestShard);
        int rows = data.Shards == 1 ? data.Count : checked(2 * _capacity), s = data.ObservationSize, a = data.ActionSize;
        if (data.Shards == 1)
        {
            var c = data.Shard(0);
            state.Add(Prefix + "observations", [rows, s], c.Observations, VariableKind.Data);
            state.Add(Prefix + "actions", [rows, a], c.Actions, VariableKind.Data);
            state.Add(Prefix + "rewards", [rows], rewards.Apply(c.Rewards, data), VariableKind.Data);
            state.Add(Prefix + "next_observations", [rows, s], c.NextObservations, VariableKind.Data);
            state.Add(Prefix + "terminals", [rows], c.Terminals, VariableKind.Data);
            return;
        }
        foreach (var (name, shape) in new (string, Shape)[] { ("observations", [rows, s]), ("actions", [rows, a]), ("rewards", [rows]), ("next_observations", [rows, s]), ("terminals", [rows]) })
            state.AddZeros(Prefix + name, TensorType.Float(shape), VariableKind.Data);
        state.AddZeros(Counts, TensorType.Int([2]), VariableKind.Data);
        MakeResident(0);
    }

    /// <summary>Row numbers of a batch, uniform over the resident rows: I32 [batch].</summary>
    public Tensor Draw(Graph graph, int batch)
    {
        if (_data.Shards == 1) return graph.Random.Integer("batch", [batch], graph.Constant(TensorType.Int(Shape.Scalar), _data.Count));
        var counts = graph.Read(_state[Counts]);
        var first = counts.At(0, 0);
        var index = graph.Random.Integer("batch", [batch], first + counts.At(0, 1));
        // The second slot begins where the first may end at most.
        return Tensor.Select(index < first, index, index - first + graph.Constant(TensorType.Int(Shape.Scalar), _capacity));
    }

    /// <summary>Loads what update <paramref name="step"/> samples from; returns the step at which that changes.</summary>
    public int MakeResident(int step)
    {
        if (_data.Shards == 1) return int.MaxValue;
        int first = step / _updates;
        for (int place = first; place < first + 2; place++)
        {
            int slot = place % 2;
            if (_resident[slot] == place) continue;
            var columns = _data.Shard(ShardAt(place));
            int s = _data.ObservationSize, a = _data.ActionSize;
            Write("observations", columns.Observations, s);
            Write("actions", columns.Actions, a);
            Write("rewards", _rewards.Apply(columns.Rewards, _data), 1);
            Write("next_observations", columns.NextObservations, s);
            Write("terminals", columns.Terminals, 1);
            var counts = _state.ReadInts(Counts);
            counts[slot] = columns.Rows;
            _state.Write(Counts, counts);
            _resident[slot] = place;

            void Write(string name, float[] values, int width) => _state.WriteAt(Prefix + name, (long)slot * _capacity * width, values);
        }
        return (first + 1) * _updates;
    }

    /// <summary>The shard at a place of the endless order.</summary>
    private int ShardAt(int place)
    {
        int count = _data.Shards;
        var order = Enumerable.Range(0, count).ToArray();
        var random = new PhiloxStream(_seed, $"shards[{place / count}]");
        for (int i = count - 1; i > 0; i--)
        {
            int j = random.NextInt(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order[place % count];
    }
}
