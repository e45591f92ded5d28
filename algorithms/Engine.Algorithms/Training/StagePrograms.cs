using Engine.Algorithms.Batches;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>The compiled updates of a stage: one program for each set of periods that are due together.</summary>
public sealed class StagePrograms : IDisposable
{
    private const int MostUpdates = 1 << 16; // looked at, to find which periods meet

    private readonly Dictionary<uint, Program> _programs = [];

    /// <summary>Traces all variants of an update and compiles them.</summary>
    /// <param name="stage">With an update.</param>
    /// <param name="compile">Makes the program of a variant.</param>
    internal StagePrograms(Stage stage, Func<uint, Program> compile)
    {
        Stage = stage;
        long cycle = 1;
        foreach (var period in stage.Periods)
        {
            if (period.Every < 1 || period.First < 0 || period.First >= period.Every) throw new InvalidOperationException($"stage {stage.Name}: {period}");
            cycle = Math.Min(MostUpdates, cycle * period.Every);
        }
        if (stage.Update is null) return;
        var starts = stage.Periods.Select(p => p.From).Append(0).Distinct();
        foreach (uint due in starts.SelectMany(from => Enumerable.Range(from, (int)cycle)).Select(stage.DueAt).Distinct().Order()) _programs[due] = compile(due);
    }

    /// <summary>The stage.</summary>
    public Stage Stage { get; }

    /// <summary>The sets of periods that are due together: bit i of period i; none without an update.</summary>
    public IReadOnlyCollection<uint> Variants => _programs.Keys;

    /// <summary>The programs, those with fewer periods first.</summary>
    public IEnumerable<Program> All => _programs.Values;

    /// <summary>How often each program runs in a cycle of updates, as a share.</summary>
    public IReadOnlyList<(Program Program, double Share)> Shares(int updates) =>
        Enumerable.Range(0, updates).GroupBy(Stage.DueAt).OrderBy(g => g.Key).Select(g => (_programs[g.Key], g.Count() / (double)updates)).ToArray();

    /// <summary>The program of an update.</summary>
    public Program At(int update) => _programs[Stage.DueAt(update)];

    /// <summary>Runs updates from number <paramref name="from"/> to before <paramref name="to"/>.</summary>
    public void Run(int from, int to)
    {
        if (Stage.Update is null) return;
        if (_programs.Count == 1)
        {
            _programs.Values.First().Run(to - from);
            return;
        }
        for (int update = from; update < to;)
        {
            uint due = Stage.DueAt(update);
            int end = update + 1;
            while (end < to && Stage.DueAt(end) == due) end++;
            _programs[due].Run(end - update);
            update = end;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var program in _programs.Values) program.Dispose();
    }
}

/// <summary>Traces the batches that a stage draws.</summary>
/// <param name="graph">The update's.</param>
/// <param name="stage">Whose draws.</param>
/// <param name="source">The rows of a source.</param>
/// <param name="spaces">What is seen, done and asked for.</param>
/// <param name="batchSize">Rows of a share of 1.</param>
internal sealed class DrawnBatches(Graph graph, Stage stage, Func<string, Rows> source, Spaces spaces, int batchSize)
{
    private readonly Dictionary<string, (IReadOnlyDictionary<string, BatchColumn> Columns, Func<string, Tensor> Read, DrawnRows? Drawn)[]> _batches = [];

    /// <summary>The raw rows of a column of the draw of a name.</summary>
    public (BatchColumn Column, Tensor Rows) Read(string name, string column)
    {
        var found = Parts(name).Select(p => (Column: p.Columns.GetValueOrDefault(column) ?? throw new DatasetException($"the batch{(name.Length == 0 ? "" : $" {name}")} has no column {column}; there are {string.Join(", ", p.Columns.Keys)}"), Rows: p.Read(column))).ToArray();
        return (found[0].Column, found.Length == 1 ? found[0].Rows : Mixed(found.Select(f => f.Rows).ToArray()));
    }

    /// <summary>The rows of the draw of a name in their table, where they are of one, and rewards and terminals are the table's; else null.</summary>
    public DrawnRows? Drawn(string name) => Parts(name) is [var only] ? only.Drawn : null;

    private (IReadOnlyDictionary<string, BatchColumn> Columns, Func<string, Tensor> Read, DrawnRows? Drawn)[] Parts(string name)
    {
        if (!_batches.TryGetValue(name, out var parts)) _batches[name] = parts = Trace(name);
        return parts;
    }

    /// <summary>The rows of several parts, evenly mixed, so that a piece of the batch has their shares too.</summary>
    private static Tensor Mixed(Tensor[] parts)
    {
        int first = 0;
        var places = new List<(double Place, int Row)>();
        foreach (var part in parts)
        {
            int count = part.Shape[0];
            for (int i = 0; i < count; i++) places.Add(((i + 0.5) / count, first + i));
            first += count;
        }
        var order = places.OrderBy(p => p.Place).ThenBy(p => p.Row).Select(p => (double)p.Row).ToArray();
        return Tensor.Concat(0, parts).Gather(parts[0].Graph.Constant(TensorType.Int([first]), order));
    }

    private (IReadOnlyDictionary<string, BatchColumn>, Func<string, Tensor>, DrawnRows?)[] Trace(string name)
    {
        var draws = stage.Draws.Select((draw, i) => (Draw: draw, Label: stage.Draws.Count == 1 ? "batch" : $"batch.{i}")).Where(d => d.Draw.Name == name).ToArray();
        if (draws.Length == 0) throw new InvalidOperationException($"stage {stage.Name} draws no batch {name}; it draws {string.Join(", ", stage.Draws.Select(d => $"\"{d.Name}\""))}");
        int[] counts = Counts(draws.Select(d => d.Draw.Share).ToArray());
        return draws.Select((d, i) =>
        {
            var rows = source(d.Draw.Source);
            var at = rows.Draw(graph, d.Label, counts[i], d.Draw.Weight);
            var columns = d.Draw.Kind.Columns(rows.Columns, spaces).ToDictionary(c => c.Name);
            var drawn = new DrawnRows(rows, at, spaces, d.Label);
            return ((IReadOnlyDictionary<string, BatchColumn>)columns, d.Draw.Kind.Read(drawn), d.Draw.Kind.KeepsRewards ? drawn : null);
        }).ToArray();
    }

    /// <summary>Rows of each part: its share, rounded, and of the last what is left of them all.</summary>
    private int[] Counts(double[] shares)
    {
        int all = (int)Math.Round(shares.Sum() * batchSize), before = 0;
        var counts = new int[shares.Length];
        for (int i = 0; i < shares.Length; i++)
        {
            counts[i] = i == shares.Length - 1 ? all - before : (int)Math.Round(shares[i] * batchSize);
            if (counts[i] < 1) throw new SettingsException($"batch_size={batchSize}: the share {shares[i]} of it is no row");
            before += counts[i];
        }
        return counts;
    }
}
