using System.Globalization;
using System.Text;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>
/// The text of one function while it is written: straight-line code on 32-bit words (<c>%r</c>), 64-bit words (<c>%d</c>) and predicates (<c>%p</c>), every register written once but
/// those of <see cref="NewWord"/>. An instruction that was written already is not written again. Only what cpu-shim/ptx.md lists is used, and every rounding is stated, so nothing is contracted.
/// </summary>
internal sealed class PtxWriter
{
    /// <summary>What every module begins with.</summary>
    public const string Header = ".version 6.5\n.target sm_75\n.address_size 64\n";

    private readonly StringBuilder _body = new();
    private Dictionary<string, string> _known = [];
    private int _words, _longs, _predicates, _labels;

    [ThreadStatic]
    private static PtxWriter? t_current;

    /// <summary>The text that lanes write to on this thread.</summary>
    public static PtxWriter Current => t_current ?? throw new InvalidOperationException("no text is being written");

    /// <summary>Makes this the text that lanes write to while the action runs.</summary>
    public void Write(Action action)
    {
        var before = t_current;
        t_current = this;
        try { action(); }
        finally { t_current = before; }
    }

    /// <summary>The result of an instruction on words.</summary>
    public string Word(string instruction, string operands) => Known(instruction, operands, "%r", ref _words);

    /// <summary>The result of an instruction on 64-bit words.</summary>
    public string Long(string instruction, string operands) => Known(instruction, operands, "%d", ref _longs);

    /// <summary>The result of a comparison.</summary>
    public string Predicate(string instruction, string operands) => Known(instruction, operands, "%p", ref _predicates);

    /// <summary>A register that may be written several times.</summary>
    public string NewWord() => string.Create(CultureInfo.InvariantCulture, $"%r{_words++}");

    /// <summary>A 64-bit register that may be written several times.</summary>
    public string NewLong() => string.Create(CultureInfo.InvariantCulture, $"%d{_longs++}");

    /// <summary>The address, in shared memory, of words that the threads of a block share.</summary>
    public string Shared(string name, int words)
    {
        Line(string.Create(CultureInfo.InvariantCulture, $".shared .align 4 .b32 {name}[{words}]"));
        return Word("mov.u32", name);
    }

    /// <summary>A label's name.</summary>
    public string NewLabel() => string.Create(CultureInfo.InvariantCulture, $"L{_labels++}");

    /// <summary>An instruction without a result of its own, or one into a register that may be written several times.</summary>
    public void Line(string text) => _body.Append('\t').Append(text).Append(";\n");

    /// <summary>A place to branch to.</summary>
    public void Label(string name) => _body.Append(name).Append(":\n");

    /// <summary>Writes what may be skipped or repeated: what was computed inside is not known outside; with <paramref name="forget"/> nothing from outside is known inside.</summary>
    public void Block(Action action, bool forget = false)
    {
        var before = _known;
        _known = forget ? [] : new(before);
        action();
        _known = before;
    }

    /// <summary>The whole function.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="parameters">Such as <c>.param .u64 x</c>.</param>
    /// <param name="threads">Threads of its blocks.</param>
    public string Function(string name, IEnumerable<string> parameters, int threads)
    {
        var text = new StringBuilder(_body.Length + 512);
        text.Append(".visible .entry ").Append(name).Append("(\n\t").AppendJoin(",\n\t", parameters).Append("\n)\n");
        text.Append(CultureInfo.InvariantCulture, $".maxntid {threads}, 1, 1\n{{\n");
        if (_predicates > 0) text.Append(CultureInfo.InvariantCulture, $"\t.reg .pred %p<{_predicates}>;\n");
        if (_words > 0) text.Append(CultureInfo.InvariantCulture, $"\t.reg .b32 %r<{_words}>;\n");
        if (_longs > 0) text.Append(CultureInfo.InvariantCulture, $"\t.reg .b64 %d<{_longs}>;\n");
        return text.Append('\n').Append(_body).Append("}\n").ToString();
    }

    private string Known(string instruction, string operands, string kind, ref int count)
    {
        string key = instruction + " " + operands;
        if (_known.TryGetValue(key, out var register)) return register;
        register = string.Create(CultureInfo.InvariantCulture, $"{kind}{count++}");
        Line($"{instruction} {register}, {operands}");
        return _known[key] = register;
    }
}
