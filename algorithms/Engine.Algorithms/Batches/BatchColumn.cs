using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>How a column is normalised where observations are.</summary>
public enum ColumnRole
{
    /// <summary>Not at all.</summary>
    Plain,
    /// <summary>As observations.</summary>
    Observation,
    /// <summary>As the components of observations that a goal is made of.</summary>
    Goal,
}

/// <summary>A quantity that tables hold and updates read.</summary>
/// <param name="Name">In snake_case, as in files and fixtures.</param>
/// <param name="Type">F32, I32, U8 or Bool.</param>
/// <param name="Shape">Of one row: [S], [A], or [] for a number.</param>
/// <param name="Role">Whether it is normalised.</param>
public sealed record BatchColumn(string Name, DType Type, Shape Shape, ColumnRole Role = ColumnRole.Plain)
{
    /// <summary>A number a row.</summary>
    public static BatchColumn Number(string name) => new(name, DType.F32, Shape.Scalar);

    /// <summary>So many of them in one row: [count, ...].</summary>
    public BatchColumn Times(int count) => this with { Shape = Shape.Insert(0, count) };

    /// <summary>The type of so many rows.</summary>
    public TensorType Rows(int rows) => new(Type, [rows, .. Shape]);

    /// <summary>Numbers of a row.</summary>
    public int Width => checked((int)Shape.Elements);

    /// <summary>The columns of a recorded row: observations, actions, rewards, terminals.</summary>
    public static IReadOnlyList<BatchColumn> Recorded(Spaces spaces) =>
    [
        new("observations", spaces.Observation.Type, spaces.Observation.Shape, ColumnRole.Observation), new("actions", spaces.Action.Type, spaces.Action.Shape), Number("rewards"), Number("terminals"),
    ];
}
