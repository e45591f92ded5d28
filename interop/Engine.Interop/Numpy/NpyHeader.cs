using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Engine.Interop.Numpy;

/// <summary>
/// The head of a .npy file (NumPy enhancement proposal 1, format versions 1 to 3): a magic number, a length, and a Python dictionary with descr, fortran_order and
/// shape.
/// </summary>
/// <param name="Type">Type of the elements.</param>
/// <param name="FortranOrder">The first axis varies fastest in the file.</param>
/// <param name="Shape">Sizes of the axes; empty for a scalar.</param>
/// <param name="Length">Bytes of the head.</param>
internal sealed record NpyHeader(NpyType Type, bool FortranOrder, long[] Shape, int Length)
{
    /// <summary>Of a type that is not read, what it is.</summary>
    public string? Unread { get; private init; }

    private const int MaximumHeader = 1 << 20, MaximumRank = 32;

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>Bytes of the elements.</summary>
    public long Bytes => Count * Type.Size;

    /// <summary>Reads a head from a stream, which then stands at the first element.</summary>
    /// <param name="stream">The array.</param>
    /// <param name="path">File for messages.</param>
    /// <param name="what">Array for messages.</param>
    /// <exception cref="InteropFormatException">Not a .npy array, or its head is damaged.</exception>
    public static NpyHeader Read(Stream stream, string path, string what)
    {
        Span<byte> start = stackalloc byte[12];
        Fill(start[..8]);
        if (!start[..6].SequenceEqual(Magic)) throw Error(0, "does not begin with NumPy's magic number");
        int version = start[6], head = version == 1 ? 10 : 12;
        if (version is < 1 or > 3) throw Error(6, $"format version {version}.{start[7]}, expected 1 to 3");
        Fill(start[8..head]);
        long length = version == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(start[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(start[8..]);
        if (length > MaximumHeader) throw Error(8, $"a header of {length} bytes, expected at most {MaximumHeader}");
        var bytes = new byte[length];
        Fill(bytes);
        var text = version == 3 ? Encoding.UTF8.GetString(bytes) : Encoding.Latin1.GetString(bytes);

        string? descr = null;
        bool? fortran = null;
        long[]? shape = null;
        int at = 0;
        Expect('{');
        while (!Take('}'))
        {
            string key = Quoted();
            Expect(':');
            switch (key)
            {
                case "descr":
                    Skip();
                    descr = at < text.Length && text[at] == '[' ? Structure() : Quoted();
                    break;
                case "fortran_order": fortran = Word() switch { "True" => true, "False" => false, var other => throw Error(head + at, $"fortran_order is {other}, expected True or False") }; break;
                case "shape": shape = Tuple(); break;
                default: throw Error(head + at, $"unknown header key {key}");
            }
            Take(',');
        }
        if (descr is null || fortran is null || shape is null) throw Error(head, "the header lacks descr, fortran_order or shape");
        if (NpyType.Parse(descr) is not { } type) return new NpyHeader(new NpyType(NpyKind.Other, 1), fortran.Value, shape, head + (int)length) { Unread = Describe(descr) };
        long total = type.Size;
        foreach (long size in shape)
        {
            if (size != 0 && total > long.MaxValue / 4 / size) throw Error(head, $"shape ({string.Join(", ", shape)}) is too large");
            total *= Math.Max(size, 1);
        }
        return new NpyHeader(type, fortran.Value, shape, head + (int)length);

        InteropFormatException Error(long offset, string message) => new(path, offset, $"{what}: {message}");

        void Fill(Span<byte> target)
        {
            if (stream.ReadAtLeast(target, target.Length, throwOnEndOfStream: false) < target.Length) throw Error(0, "ends within its header");
        }

        void Skip()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at])) at++;
        }

        bool Take(char c)
        {
            Skip();
            if (at >= text.Length) throw Error(head + at, "the header ends too early");
            if (text[at] != c) return false;
            at++;
            return true;
        }

        void Expect(char c)
        {
            if (!Take(c)) throw Error(head + at, $"expected '{c}' in the header, found '{text[at]}'");
        }

        string Quoted()
        {
            Skip();
            if (at >= text.Length || text[at] is not ('\'' or '"')) throw Error(head + at, "expected a quoted text in the header");
            int end = text.IndexOf(text[at], at + 1);
            if (end < 0) throw Error(head + at, "a quoted text in the header does not end");
            string value = text[(at + 1)..end];
            at = end + 1;
            return value;
        }

        string Word()
        {
            Skip();
            int start = at;
            while (at < text.Length && char.IsAsciiLetterOrDigit(text[at])) at++;
            return text[start..at];
        }

        // The list of a structure's fields: its content does not matter, since it is not read.
        string Structure()
        {
            int open = 0, from = at;
            while (at < text.Length)
            {
                if (text[at] is '\'' or '"')
                {
                    Quoted();
                    continue;
                }
                open += text[at] is '[' or '(' ? 1 : text[at] is ']' or ')' ? -1 : 0;
                at++;
                if (open == 0) return text[from..at];
            }
            throw Error(head + from, "a structured type does not end");
        }

        long[] Tuple()
        {
            var sizes = new List<long>();
            Expect('(');
            while (!Take(')'))
            {
                string word = Word().TrimEnd('L'); // Python 2 wrote long integers so
                if (!long.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out long size)) throw Error(head + at, "a size in shape is not a whole number");
                sizes.Add(size);
                if (sizes.Count > MaximumRank) throw Error(head + at, $"more than {MaximumRank} axes");
                Take(',');
            }
            return sizes.ToArray();
        }
    }

    private static string Describe(string descr) => descr.Length < 2 ? $"element type {descr}" : descr[0] == '[' ? "a structured type" : descr[1] switch
    {
        'c' => $"complex numbers ({descr})",
        'M' => $"dates ({descr})",
        'm' => $"time spans ({descr})",
        'V' => $"bytes without a type ({descr})",
        _ => $"element type {descr}",
    };

    /// <summary>What a reader that cannot do without the elements says.</summary>
    public string Refusal(string what) => Type.Kind == NpyKind.Object ? $"{what} holds pickled Python objects, which are never read"
        : $"{what} holds {Unread}, which {(Unread == "a structured type" ? "is" : "are")} not read; expected booleans, integers, floats of 2, 4 or 8 bytes, or strings";

    /// <summary>Writes a head of version 1, padded so that the elements begin at a multiple of 64.</summary>
    public void Write(Stream stream)
    {
        string shape = Shape.Length == 1 ? $"({Shape[0]},)" : $"({string.Join(", ", Shape)})";
        string text = $"{{'descr': '{Type}', 'fortran_order': False, 'shape': {shape}, }}";
        int padded = (10 + text.Length + 1 + 63) / 64 * 64 - 10;
        var head = new byte[10 + padded];
        Magic.CopyTo(head);
        head[6] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(8), (ushort)padded);
        Encoding.ASCII.GetBytes(text.PadRight(padded - 1) + "\n", head.AsSpan(10));
        stream.Write(head);
    }
}
