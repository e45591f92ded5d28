using Engine.Algorithms.Batches;
using Engine.Autodiff;

namespace Engine.Algorithms;

/// <summary>
/// What an update reads: columns by name, as tensors of the update's graph. A column is traced when it is first read, so an algorithm names what it reads by reading it, and nothing else is gathered or put
/// on the device. Observations are normalised where the algorithm normalises.
/// </summary>
public sealed class Batch
{
    private readonly Func<string, string, (BatchColumn Column, Tensor Rows)> _read;
    private readonly Func<ColumnRole, Tensor, Tensor> _normalise;
    private readonly Dictionary<(string, string), Tensor> _known;
    private readonly Func<string, DrawnRows?> _drawn;
    private readonly string _draw;

    /// <summary>A batch whose columns come from a function.</summary>
    /// <param name="graph">The update's.</param>
    /// <param name="read">The rows of a column of the draw of a name ("" for draws without one), raw.</param>
    /// <param name="normalise">Of a role, raw values to what networks see.</param>
    /// <param name="drawn">The drawn rows of a draw whose kind keeps rewards; null: there are none.</param>
    internal Batch(Graph graph, Func<string, string, (BatchColumn Column, Tensor Rows)> read, Func<ColumnRole, Tensor, Tensor> normalise, Func<string, DrawnRows?>? drawn = null) : this(graph, read, normalise, [], drawn ?? (_ => null), "") { }

    private Batch(Graph graph, Func<string, string, (BatchColumn, Tensor)> read, Func<ColumnRole, Tensor, Tensor> normalise, Dictionary<(string, string), Tensor> known, Func<string, DrawnRows?> drawn, string draw) =>
        (Graph, _read, _normalise, _known, _drawn, _draw) = (graph, read, normalise, known, drawn, draw);

    /// <summary>The update's graph.</summary>
    public Graph Graph { get; }

    /// <summary>The batch of the draw of that name.</summary>
    public Batch Of(string draw) => new(Graph, _read, _normalise, _known, _drawn, draw);

    /// <summary>The rows of the table that rewards and terminals come from, where they are those of the table; else null.</summary>
    internal DrawnRows? Drawn => _drawn(_draw);

    /// <summary>A column [B, ...].</summary>
    /// <exception cref="DatasetException">The data have none of that name.</exception>
    public Tensor this[string column]
    {
        get
        {
            if (_known.TryGetValue((_draw, column), out var known)) return known;
            var (about, rows) = _read(_draw, column);
            return _known[(_draw, column)] = _normalise(about.Role, rows);
        }
    }

    /// <summary>Rows of the batch, B.</summary>
    public int Rows => Observations.Shape[0];

    /// <summary>[B, S]</summary>
    public Tensor Observations => this["observations"];

    /// <summary>[B, A], within ±MaxAction; of discrete actions [B, 1], the index.</summary>
    public Tensor Actions => this["actions"];

    /// <summary>[B]</summary>
    public Tensor Rewards => this["rewards"];

    /// <summary>[B, S]</summary>
    public Tensor NextObservations => this["next_observations"];

    /// <summary>[B], 1 where the task ended (a time limit is no end).</summary>
    public Tensor Terminals => this["terminals"];

    /// <summary>[B, G]</summary>
    public Tensor Goals => this["goals"];

    /// <summary>The same batch with columns put in the place of its own, or beside them: parts of a batch, relabelled rewards.</summary>
    public Batch With(params (string Column, Tensor Rows)[] columns)
    {
        var known = new Dictionary<(string, string), Tensor>(_known);
        foreach (var (column, rows) in columns) known[(_draw, column)] = rows;
        bool keeps = !columns.Any(c => c.Column is "rewards" or "terminals");
        return new Batch(Graph, _read, _normalise, known, draw => keeps || draw != _draw ? _drawn(draw) : null, _draw);
    }

    /// <summary>The part of every column that is read of it: rows <paramref name="first"/> to before first + count.</summary>
    public Batch Slice(int first, int count) => new(Graph, (draw, column) => (BatchColumn.Number(column), Of(draw)[column].Slice(0, first, count)), (_, rows) => rows, [], _ => null, _draw);
}
