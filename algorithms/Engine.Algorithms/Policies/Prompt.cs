using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>
/// How a policy is told what to do: a traced function from rows (labelled with rewards, a context, a single goal) to the variables that condition it, which it assigns. The algorithm adds them to its state, of kind State, and its policy reads
/// them; until a prompt comes they are what the algorithm and its training made them.
/// </summary>
/// <param name="Trace">Traces it, from a batch of the prompt's rows; it draws nothing.</param>
public sealed record Prompt(Action<Batch> Trace)
{
    /// <summary>Columns that the rows of a prompt may have besides those of <see cref="Transitions"/> and, where the task has goals, <c>goals</c>.</summary>
    public IReadOnlyList<BatchColumn> Further { get; init; } = [];

    private const string Prefix = "prompt.";

    /// <summary>The graph of an algorithm's prompt, and the columns that it reads by the names of its inputs.</summary>
    /// <exception cref="SettingsException">The algorithm's policy takes no prompt.</exception>
    internal static (Graph Graph, IReadOnlyDictionary<string, BatchColumn> Inputs) Of(Algorithm algorithm, int rows)
    {
        var prompt = algorithm.Prompt ?? throw new SettingsException($"the policy of {algorithm.GetType().Name} takes no prompt");
        var spaces = algorithm.Context.Spaces;
        BatchColumn[] known = [.. new Transitions().Columns(BatchColumn.Recorded(spaces), spaces), .. spaces.Goal is { } goal ? new BatchColumn[] { new("goals", DType.F32, goal.Shape, ColumnRole.Goal) } : [], .. prompt.Further];
        var (graph, inputs) = (new Graph(), new Dictionary<string, BatchColumn>());
        algorithm.TraceUpdate(new Stage("prompt", null, prompt.Trace), graph, (_, name) =>
        {
            var column = known.FirstOrDefault(c => c.Name == name) ?? throw new InvalidOperationException($"{algorithm.GetType().Name}: a prompt has no column {name}; there are {string.Join(", ", known.Select(c => c.Name))}");
            inputs[Prefix + name] = column;
            return (column, graph.Input(Prefix + name, TensorType.Float([rows, .. column.Shape])).Cast(column.Type));
        }, 0);
        return (graph, inputs);
    }

    /// <summary>Names of the variables that an algorithm's prompt reads or assigns; none where there is no prompt.</summary>
    internal static IEnumerable<string> Variables(Algorithm algorithm) => algorithm.Prompt is null ? [] : Of(algorithm, 2).Graph is var graph ? graph.Initial.Keys.Union(graph.Assigned.Keys) : [];

    /// <summary>Conditions the policy of an algorithm whose variables are in a state.</summary>
    /// <exception cref="SettingsException">The policy takes no prompt, or the rows lack a column or have another shape.</exception>
    internal static void Give(Algorithm algorithm, State state, PromptRows rows)
    {
        var (graph, inputs) = Of(algorithm, rows.Count);
        var values = inputs.ToDictionary(i => i.Key, i => rows.Of(i.Value));
        using var program = new Program(graph, state);
        foreach (var (input, numbers) in values) program.Write(input, numbers);
        program.Run();
    }
}

/// <summary>The rows of a prompt: columns by name.</summary>
public sealed class PromptRows
{
    private const int Most = 10_000; // rows of a dataset that are read, evenly spread

    private readonly Func<string, float[]?> _columns;

    /// <summary>Rows of one's own.</summary>
    /// <param name="count">At least 1.</param>
    /// <param name="columns">Row by row, in the units of data that are trained on: rewards as the task gives them, continuous actions in [-1, 1], observations not normalised.</param>
    public PromptRows(int count, IReadOnlyDictionary<string, float[]> columns) : this(count, name => columns.GetValueOrDefault(name)) { }

    private PromptRows(int count, Func<string, float[]?> columns)
    {
        if (count < 1) throw new ArgumentOutOfRangeException(nameof(count), count, "expected at least 1 row");
        (Count, _columns) = (count, columns);
    }

    /// <summary>Rows.</summary>
    public int Count { get; }

    /// <summary>A goal alone: one row with the column <c>goals</c>.</summary>
    /// <param name="goal">[G]</param>
    public static PromptRows Goal(ReadOnlySpan<float> goal) => new(1, new Dictionary<string, float[]> { ["goals"] = goal.ToArray() });

    /// <summary>The transitions of a dataset; of more than 10,000 that many, evenly spread. Rewards are as recorded, whatever training does to them.</summary>
    public static PromptRows Of(TransitionDataset data)
    {
        int count = Math.Min(data.Count, Most);
        return new PromptRows(count, name =>
        {
            int after = name.StartsWith("next_", StringComparison.Ordinal) ? 1 : 0;
            string own = after == 0 ? name : name["next_".Length..];
            if (data.Columns.FirstOrDefault(c => c.Name == own && c.Type == DType.F32) is not { } column) return null;
            var (all, rows) = (data.Table.AtTransitions(own, after), new float[count * column.Width]);
            for (int row = 0; row < count; row++) all.AsSpan((int)((long)row * data.Count / count) * column.Width, column.Width).CopyTo(rows.AsSpan(row * column.Width));
            return rows;
        });
    }

    /// <summary>The numbers of a column.</summary>
    internal float[] Of(BatchColumn column)
    {
        var values = _columns(column.Name) ?? throw new SettingsException($"the prompt has no column {column.Name}");
        return values.Length == Count * column.Width ? values : throw new SettingsException($"the prompt's column {column.Name} has {values.Length} numbers, expected {Count} rows of {column.Width}");
    }
}
