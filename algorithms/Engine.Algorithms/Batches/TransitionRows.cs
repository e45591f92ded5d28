using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>Single transitions as rows of numbers: <c>rows</c> [B, 2S + A + 2], observation, action, reward, next observation, terminal.</summary>
public sealed record TransitionRows : BatchKind
{
    private static readonly Transitions Parts = new();

    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) => [new("rows", DType.F32, [Width(spaces)])];

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var part = Parts.Read(drawn);
        return _ => Tensor.Concat(-1, part("observations").Reshape(drawn.Count, -1), part("actions"), part("rewards").Expand(-1), part("next_observations").Reshape(drawn.Count, -1), part("terminals").Expand(-1));
    }

    /// <summary>The columns in a row, and whether they are the next observation's.</summary>
    public static IReadOnlyList<(string Column, int After)> Order { get; } = [("observations", 0), ("actions", 0), ("rewards", 0), ("observations", 1), ("terminals", 0)];

    /// <summary>2S + A + 2.</summary>
    public static int Width(Spaces spaces) => 2 * spaces.Observation.Size + spaces.Action.Size + 2;

    /// <summary>The parts of rows [B, 2S + A + 2] by the names of columns: [B, S], [B, A], [B], [B, S], [B].</summary>
    public static IEnumerable<(string Column, Tensor Values)> Of(Tensor rows, Spaces spaces)
    {
        int s = spaces.Observation.Size, a = spaces.Action.Size;
        yield return ("observations", rows.Slice(1, 0, s));
        yield return ("actions", rows.Slice(1, s, a));
        yield return ("rewards", rows.At(1, s + a));
        yield return ("next_observations", rows.Slice(1, s + a + 1, s));
        yield return ("terminals", rows.At(1, 2 * s + a + 1));
    }
}
