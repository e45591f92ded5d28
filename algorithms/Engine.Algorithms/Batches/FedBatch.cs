using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>A batch whose columns are inputs of the graph that the host feeds, all of them numbers of type F32: of a recording, or made up.</summary>
/// <param name="graph">The update's.</param>
/// <param name="stage">Whose draws.</param>
/// <param name="spaces">What is seen, done and asked for.</param>
/// <param name="batchSize">Rows of a share of 1.</param>
/// <param name="prefix">In front of the inputs' names.</param>
/// <param name="further">The shape of a row of a column that the draws' kinds do not know; null: there is none.</param>
internal sealed class FedBatch(Graph graph, Stage stage, Spaces spaces, int batchSize, string prefix, Func<string, Shape?>? further = null)
{
    /// <summary>The columns that were read, by the names of their inputs.</summary>
    public Dictionary<string, BatchColumn> Columns { get; } = [];

    /// <summary>The rows of a column of the draw of a name.</summary>
    public (BatchColumn Column, Tensor Rows) Read(string name, string column)
    {
        var draws = stage.Draws.Where(d => d.Name == name).ToArray();
        if (draws.Length == 0) throw new InvalidOperationException($"stage {stage.Name} draws no batch {name}");
        string full = name.Length == 0 ? column : $"{name}_{column}";
        var known = draws[0].Kind.Columns(BatchColumn.Recorded(spaces), spaces).FirstOrDefault(c => c.Name == column)
            ?? (further?.Invoke(full) is { } shape ? new BatchColumn(column, DType.F32, shape) : throw new DatasetException($"no column {full} in the batch"));
        int rows = (int)Math.Round(draws.Sum(d => d.Share) * batchSize);
        Columns[prefix + full] = known;
        return (known, graph.Input(prefix + full, TensorType.Float([rows, .. known.Shape])).Cast(known.Type));
    }
}
