using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Two rows of one trajectory: every column of both, <c>first_NAME</c> and <c>second_NAME</c>, and <c>distance</c> [B], steps from the first to the second, negative where the second comes before. One of them is the drawn row; the other is
/// uniform among the states after it, that seen last included (whose other columns are what is known of it, as a rule 0), and each is the first with the same chance.
/// </summary>
public sealed record Pairs : BatchKind
{
    private const string First = "first_", Second = "second_";

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) =>
        [.. new[] { First, Second }.SelectMany(side => row.Select(c => c with { Name = side + c.Name })), BatchColumn.Number("distance")];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var left = drawn.Rows.Left(drawn.At);
        var steps = 1 + (drawn.Uniform("distance", drawn.Count) * left.Cast(DType.F32)).Floor().Cast(DType.I32).Minimum(left - 1);
        var forward = drawn.Uniform("order", drawn.Count) < 0.5;
        return name => name == "distance" ? Tensor.Select(forward, steps, steps * -1).Cast(DType.F32)
            : name.StartsWith(First, StringComparison.Ordinal) ? Side(name[First.Length..], Tensor.Select(forward, steps * 0, steps))
            : Side(name[Second.Length..], Tensor.Select(forward, steps, steps * 0));

        Tensor Side(string column, Tensor later) => drawn.Rows.Later(column, drawn.At, later);
    }
}
