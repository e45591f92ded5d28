using System.Runtime.InteropServices;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <summary>
/// Recorded rows in memory, ready for a device. A trajectory is its transitions, one a row, and one more row that holds what was seen last: so an observation is stored once, and the successor of a transition is the
/// next row. Where the successor that a file states is not its next row (shuffled rows, a cut), a trajectory ends and another begins.
/// </summary>
public sealed class DataTable
{
    private readonly Dictionary<string, Array> _values = [];

    private DataTable(IReadOnlyList<BatchColumn> columns, int rows, int[] transitions, int[] ends) => (Columns, Rows, Transitions, Ends) = (columns, rows, transitions, ends);

    /// <summary>Rows, those that end a trajectory included.</summary>
    public int Rows { get; }

    /// <summary>The columns.</summary>
    public IReadOnlyList<BatchColumn> Columns { get; }

    /// <summary>The rows that are transitions, in order.</summary>
    public int[] Transitions { get; }

    /// <summary>The last row of each row's trajectory.</summary>
    public int[] Ends { get; }

    /// <summary>The first row of each row's trajectory, made anew at every call.</summary>
    public int[] Firsts()
    {
        var firsts = new int[Rows];
        for (int at = 1; at < Rows; at++) firsts[at] = Ends[at] == Ends[at - 1] ? firsts[at - 1] : at;
        return firsts;
    }

    /// <summary>The discounted sums of rewards from each row's transition to the end of its trajectory; 0 of the row after the last.</summary>
    /// <param name="rewards">A number a row.</param>
    /// <param name="discount">In [0, 1].</param>
    public float[] ReturnsToGo(float[] rewards, double discount)
    {
        var returns = new float[Rows];
        double sum = 0;
        for (int at = Rows - 1; at >= 0; at--) returns[at] = (float)(sum = at == Ends[at] ? 0 : rewards[at] + discount * sum);
        return returns;
    }

    /// <summary>A column's values, row by row: float[], int[] or byte[].</summary>
    /// <exception cref="DatasetException">There is none of that name.</exception>
    public Array this[string name] => _values.TryGetValue(name, out var values) ? values : throw new DatasetException($"no column {name}; there are {string.Join(", ", _values.Keys)}");

    /// <summary>A row of a column of float numbers.</summary>
    public ReadOnlySpan<float> Row(string name, int row)
    {
        int width = Columns.First(c => c.Name == name).Width;
        return ((float[])this[name]).AsSpan(row * width, width);
    }

    /// <summary>The values of a column of float numbers at the transitions, or at the rows that many rows after them.</summary>
    public float[] AtTransitions(string name, int after = 0)
    {
        int width = Columns.First(c => c.Name == name).Width;
        var (values, result) = ((float[])this[name], new float[Transitions.Length * width]);
        for (int k = 0; k < Transitions.Length; k++) values.AsSpan((Transitions[k] + after) * width, width).CopyTo(result.AsSpan(k * width));
        return result;
    }

    /// <summary>Makes a table of recorded rows.</summary>
    /// <param name="columns">Of a row; <c>observations</c> among them.</param>
    /// <param name="values">Of a column, [count, ...]: float[], int[] or byte[].</param>
    /// <param name="count">Recorded rows.</param>
    /// <param name="next">Stated successors of the observations, [count, ...]; null: the next row, of a row that ends the task itself.</param>
    /// <param name="transition">Whether a row has a successor, or ends the task.</param>
    /// <param name="follows">Whether row i + 1 may follow row i in a trajectory.</param>
    public static DataTable Of(IReadOnlyList<BatchColumn> columns, Func<string, Array> values, int count, Array? next, Func<int, bool> transition, Func<int, bool> follows)
    {
        var seen = columns.First(c => c.Name == "observations");
        var observations = values(seen.Name);
        int row = seen.Width * seen.Type.Bytes();
        ReadOnlySpan<byte> now = Bytes(observations), stated = next is null ? default : Bytes(next);

        // What every row of the table is: a recorded row, or (-1 - i) the observation after row i.
        var origin = new List<int>(count);
        var (transitions, last) = (new List<int>(count), new List<int>());
        bool joined = false;
        for (int i = 0; i < count; i++)
        {
            bool has = transition(i);
            if (has) transitions.Add(origin.Count);
            if (has || joined) origin.Add(i);
            // Bits, not numbers: -0 in the place of 0 is another row.
            bool more = has && i + 1 < count && follows(i) && (next is null || stated.Slice(i * row, row).SequenceEqual(now.Slice((i + 1) * row, row)));
            if (has && !more) origin.Add(-1 - i);
            if ((has || joined) && !more) last.Add(origin.Count - 1);
            joined = more;
        }
        var ends = new int[origin.Count];
        for (int at = 0, k = 0; at < ends.Length; at++)
        {
            if (at > last[k]) k++;
            ends[at] = last[k];
        }
        var table = new DataTable(columns, ends.Length, transitions.ToArray(), ends);
        foreach (var column in columns)
        {
            var from = values(column.Name);
            var to = Array.CreateInstance(from.GetType().GetElementType()!, checked((long)ends.Length * column.Width));
            int width = column.Width * column.Type.Bytes();
            ReadOnlySpan<byte> source = Bytes(from), after = column == seen && next is not null ? stated : source;
            var target = Bytes(to);
            for (int at = 0; at < ends.Length; at++)
                if (origin[at] >= 0) source.Slice(origin[at] * width, width).CopyTo(target[(at * width)..]);
                else if (column == seen) after.Slice((-1 - origin[at]) * width, width).CopyTo(target[(at * width)..]);
            table._values[column.Name] = to;
        }
        return table;
    }

    /// <summary>A table of some of the trajectories, in order.</summary>
    /// <param name="keeps">Whether the trajectory that ends with a row is kept.</param>
    public DataTable Of(Func<int, bool> keeps)
    {
        int[] origin = Enumerable.Range(0, Rows).Where(at => keeps(Ends[at])).ToArray();
        var place = new int[Rows]; // the new number of a row that is kept
        for (int at = 0; at < origin.Length; at++) place[origin[at]] = at;
        var table = new DataTable(Columns, origin.Length, Transitions.Where(at => keeps(Ends[at])).Select(at => place[at]).ToArray(), Array.ConvertAll(origin, at => place[Ends[at]]));
        foreach (var column in Columns)
        {
            var from = this[column.Name];
            var to = Array.CreateInstance(from.GetType().GetElementType()!, (long)origin.Length * column.Width);
            int width = column.Width * column.Type.Bytes();
            ReadOnlySpan<byte> source = Bytes(from);
            var target = Bytes(to);
            for (int at = 0; at < origin.Length; at++) source.Slice(origin[at] * width, width).CopyTo(target[(at * width)..]);
            table._values[column.Name] = to;
        }
        return table;
    }

    /// <summary>The same rows with a column put in the place of its own, or beside them.</summary>
    /// <param name="column">The column.</param>
    /// <param name="values">Row by row: float[], int[] or byte[].</param>
    public DataTable With(BatchColumn column, Array values)
    {
        var table = new DataTable([.. Columns.Where(c => c.Name != column.Name), column], Rows, Transitions, Ends);
        foreach (var (name, known) in _values) table._values[name] = known;
        table._values[column.Name] = values;
        return table;
    }

    /// <summary>The bytes of an array of numbers.</summary>
    internal static Span<byte> Bytes(Array values) => values switch
    {
        float[] floats => MemoryMarshal.AsBytes(floats.AsSpan()),
        int[] ints => MemoryMarshal.AsBytes(ints.AsSpan()),
        byte[] bytes => bytes,
        _ => throw new ArgumentException($"columns are float[], int[] or byte[], not {values.GetType().Name}"),
    };
}
