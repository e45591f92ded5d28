using Engine.Autodiff;

namespace Engine.Algorithms.Batches;

/// <summary>Rows as they are, nothing beside them: of tables whose rows are whole sequences of tokens, or whatever else has no successor.</summary>
public sealed record Sequences : BatchKind
{
    /// <inheritdoc/>
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) => row;

    /// <inheritdoc/>
    public override Func<string, Tensor> Read(DrawnRows drawn) => name => drawn.Column(name);
}
