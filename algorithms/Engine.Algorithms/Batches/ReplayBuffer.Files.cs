using Engine.Interop;
using Engine.Interop.Safetensors;
using Engine.Kernels;

namespace Engine.Algorithms.Batches;

/// <content>The rows in a run's folder: each checkpoint writes those that are new to a file of their own.</content>
public sealed partial class ReplayBuffer
{
    private static SafetensorsType FileType(DType type) => type switch
    {
        DType.F32 => SafetensorsType.F32,
        DType.I32 => SafetensorsType.I32,
        _ => SafetensorsType.U8,
    };

    private string Folder(string run) => Path.Combine(run, "buffers", Source);

    private static IEnumerable<(int From, int To, string Path)> Segments(string folder) => !Directory.Exists(folder) ? [] : Directory.EnumerateFiles(folder, "rows-*.safetensors")
        .Select(path => (Parts: Path.GetFileNameWithoutExtension(path).Split('-'), path)).Where(f => f.Parts.Length == 3 && int.TryParse(f.Parts[1], out _) && int.TryParse(f.Parts[2], out _))
        .Select(f => (int.Parse(f.Parts[1]), int.Parse(f.Parts[2]), f.path)).OrderBy(f => f.Item1);

    /// <summary>Writes the rows that are new since the last time to a file of their own.</summary>
    internal void SaveRows(string run)
    {
        int from = Math.Max(_saved, _count - Capacity);
        if (from == _count) return;
        Directory.CreateDirectory(Folder(run));
        var parts = new List<byte[][]>();
        // A ring: rows to its end, then from its beginning.
        for (int number = from; number < _count;)
        {
            int first = number % Capacity, rows = Math.Min(_count - number, Capacity - first);
            parts.Add(ReadRows(first, rows));
            number += rows;
        }
        int total = _count - from;
        var tensors = _stored.Select((column, i) => new SafetensorsTensor(column.Name, FileType(column.Type), [total, column.Width], parts.SelectMany(p => p[i]).ToArray()))
            .Append(SafetensorsTensor.From("ends", [total, 1], Enumerable.Range(from, total).Select(n => _ends[n % Capacity] ? 1f : 0f).ToArray())).ToArray();
        SafetensorsFile.Write(Path.Combine(Folder(run), $"rows-{from:D10}-{_count:D10}.safetensors"), tensors, new Dictionary<string, string>());
        _saved = _count;
    }

    /// <summary>When a checkpoint has been written: removes files of rows that had all made room before the one before it, which is kept too.</summary>
    internal void RemoveRows(string run)
    {
        foreach (var segment in Segments(Folder(run)).ToArray())
            if (segment.To <= _kept - Capacity) File.Delete(segment.Path);
        _kept = _count;
    }

    /// <summary>Reads the rows that were there when the state's number of rows was what it is; later ones are removed.</summary>
    /// <exception cref="InteropFormatException">Rows are missing.</exception>
    internal void LoadRows(string run)
    {
        _count = _saved = _kept = _state.ReadInts(_written.Name)[0];
        int oldest = Math.Max(0, _count - Capacity), have = oldest;
        foreach (var (from, to, path) in Segments(Folder(run)).ToArray())
        {
            if (to > _count) { File.Delete(path); continue; } // of a checkpoint that was never written
            if (to <= oldest) continue;
            if (from > have) throw new InteropFormatException(path, -1, $"rows {from} to {to}, expected from {have} on");
            var file = SafetensorsFile.Read(path);
            var ends = file["ends"].ToSingles();
            var columns = _stored.Select(c => (Column: c, Table: _tables[c.Name], file[c.Name].Data)).ToArray();
            foreach (var (column, table, bytes) in columns)
                if (file[column.Name].Type != FileType(column.Type) || bytes.Length != (to - from) * RowBytes(table)) throw new InteropFormatException(path, -1, $"{column.Name} is {file[column.Name].Type} of {bytes.Length} bytes, expected {FileType(column.Type)} of {(to - from) * RowBytes(table)}");
            for (int number = Math.Max(from, oldest); number < to; number++) // a later file knows better how an episode ended
            {
                _ends[number % Capacity] = ends[number - from] != 0;
                foreach (var (_, table, bytes) in columns) _state.WriteBytesAt(table.Name, (long)(number % Capacity) * RowBytes(table), bytes.Span.Slice((number - from) * RowBytes(table), RowBytes(table)));
            }
            have = Math.Max(have, to);
        }
        if (have != _count) throw new InteropFormatException(Folder(run), -1, $"rows {have} to {_count} of the buffer are missing");

        var end = new int[Capacity];
        for (int copy = 0; copy < Copies; copy++)
        {
            int last = -1;
            _episode[copy] = -1;
            for (int number = _count - Copies + copy; number >= oldest; number -= Copies)
            {
                if (_ends[number % Capacity])
                {
                    if (_episode[copy] < 0) _episode[copy] = number + Copies;
                    last = number % Capacity;
                }
                end[number % Capacity] = last;
            }
            if (_episode[copy] < 0) _episode[copy] = oldest + copy; // its first row, as far as it is still there
        }
        _state.Write(_end.Name, end);
        Mark();
    }
}
