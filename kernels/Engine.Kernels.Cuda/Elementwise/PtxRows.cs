namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>The ways that reduce: a thread computes a short row and all that follows from it, or a team, a warp or a block, a longer one. The order of sums is rows.cuh's for rows, one after another for columns.</summary>
internal sealed partial class PtxBody
{
    private const int Warp = 32;

    private void ThreadRows()
    {
        int reduced = (int)domain.Reduced, inner = (int)domain.Inner;
        string row = ThreadNumber();
        text.Line($"@{text.Predicate("setp.ge.u32", $"{row}, {_size}")} ret");
        Ones(late: false);
        string first = inner == 1 ? Multiply(row, reduced) : text.Word("mad.lo.u32", $"{Quotient(row, inner)}, {(reduced - 1) * inner}, {row}");
        // In the order of the steps, for what is reduced may be needed by all elements again. All loads come before the first store.
        for (int v = inputs.Length; v < _values.Length; v++)
            if (domain.Extents[v] == Extent.Whole) Evaluate([v], reduced, (view, r) => Load(view, first, r * inner));
            else if (domain.Extents[v] == Extent.Row && expression.OpOf(v) is Reduce reduce) _values[v] = [OfThread(reduce.Kind, Enumerable.Range(0, reduced).Select(r => Argument(v, r)).ToArray(), inner == 1)];
            else if (domain.Extents[v] == Extent.Row) Evaluate([v], 1, (view, _) => Load(view, row, 0));
        for (int i = 0; i < expression.Results.Count; i++)
            if (domain.Extents[expression.Results[i]] == Extent.Whole)
                for (int r = 0; r < reduced; r++) Store(i, [_values[expression.Results[i]][r]], Add(first, r * inner));
        StoreAll(Extent.Row, row);
        StoreOnes(row);
        text.Line("ret");

        PtxLanes Argument(int reduction, int r)
        {
            int value = expression.Steps[reduction - inputs.Length].Arguments[0];
            return value < inputs.Length ? Load(new View(value, Extent.Whole, [domain.Elements], [1]), first, r * inner) : _values[value][Math.Min(r, _values[value].Length - 1)];
        }
    }

    private static PtxLanes OfThread(ReduceKind kind, PtxLanes[] values, bool parted)
    {
        var parts = new PtxLanes[parted && kind == ReduceKind.Sum ? 4 : 1];
        Array.Fill(parts, Neutral(kind));
        for (int r = 0; r < values.Length; r++) parts[r % parts.Length] = Combined(kind, parts[r % parts.Length], values[r]);
        return parts.Length == 1 ? parts[0] : Parts(kind, parts);
    }

    private void TeamRows(int team)
    {
        int width = (int)domain.Reduced;
        bool vectors = width % lanes == 0;
        string thread = text.Word("mov.u32", "%tid.x"), row = text.Word("mov.u32", "%ctaid.x"), rank = thread;
        if (team == Warp)
        {
            rank = text.Word("and.b32", $"{thread}, {Warp - 1}");
            row = text.Word("mad.lo.u32", $"{row}, {threads / Warp}, {text.Word("shr.u32", $"{thread}, 5")}");
        }
        text.Line($"@{text.Predicate("setp.ge.u32", $"{row}, {_size}")} ret"); // all of a team or none
        Ones(late: false);
        Evaluate(Steps(Extent.Row, late: false), 1, (view, _) => Load(view, row, 0));
        int[] reductions = Steps(Extent.Row).Where(v => expression.OpOf(v) is Reduce).ToArray(), whole = Steps(Extent.Whole);
        // Element i belongs to thread i / 4 % team, and there to part i % 4.
        var parts = reductions.ToDictionary(v => v, v => Enumerable.Range(0, lanes).Select(_ =>
        {
            string register = text.NewWord();
            text.Line($"mov.b32 {register}, {Neutral(KindOf(v)).Int}");
            return register;
        }).ToArray());
        string at = text.NewWord(), again = text.NewLabel(), done = text.NewLabel(), start = Multiply(row, width);
        text.Line($"shl.b32 {at}, {rank}, 2");
        text.Line($"@{text.Predicate("setp.ge.u32", $"{at}, {width}")} bra {done}");
        text.Label(again);
        text.Block(() =>
        {
            string first = text.Word("add.u32", $"{start}, {at}");
            if (vectors) Elements(first, 0, lanes);
            else
                for (int k = 0; k < lanes; k++)
                {
                    string next = text.NewLabel();
                    text.Line($"@{text.Predicate("setp.ge.u32", $"{Add(at, k)}, {width}")} bra {next}");
                    int part = k;
                    text.Block(() => Elements(Add(first, part), part, 1));
                    text.Label(next);
                }
            if (width <= lanes * team) return;
            text.Line($"add.u32 {at}, {at}, {lanes * team}");
            text.Line($"@{text.Predicate("setp.lt.u32", $"{at}, {width}")} bra {again}");
        }, forget: true);
        text.Label(done);
        foreach (int v in reductions) _values[v] = [OfWarp(KindOf(v), Parts(KindOf(v), Array.ConvertAll(parts[v], PtxLanes.OfWord)))];
        if (team > Warp && reductions.Length > 0) OfBlock(thread, reductions, KindOf);
        string others = text.NewLabel();
        text.Line($"@{text.Predicate("setp.ne.u32", $"{rank}, 0")} bra {others}");
        text.Block(() =>
        {
            Evaluate([.. Steps(Extent.Row, late: true).Except(reductions)], 1, (view, _) => Load(view, row, 0));
            StoreAll(Extent.Row, row);
            StoreOnes(row);
        });
        text.Label(others);
        text.Line("ret");

        ReduceKind KindOf(int value) => ((Reduce)expression.OpOf(value)).Kind;

        // Elements from one on, into the parts from one on.
        void Elements(string first, int part, int count)
        {
            foreach (var key in _loaded.Keys.Where(k => k.View.Contains($" {Extent.Whole}:", StringComparison.Ordinal)).ToArray()) _loaded.Remove(key);
            Func<View, int, PtxLanes> load = count == 1 ? (view, _) => Load(view, first, 0) : (view, k) => LoadVector(view, first, k);
            Evaluate(whole, count, load);
            foreach (int v in reductions)
                for (int k = 0; k < count; k++)
                {
                    int value = expression.Steps[v - inputs.Length].Arguments[0];
                    var element = value < inputs.Length ? load(new View(value, Extent.Whole, [domain.Elements], [1]), k) : _values[value][Math.Min(k, _values[value].Length - 1)];
                    string register = parts[v][part + k];
                    text.Line($"mov.b32 {register}, {Combined(KindOf(v), PtxLanes.OfWord(register), element).Register}");
                }
            StoreAll(Extent.Whole, first); // over what was read
        }
    }

    /// <summary>Of the values of a warp's threads.</summary>
    private PtxLanes OfWarp(ReduceKind kind, PtxLanes value)
    {
        for (int mask = Warp / 2; mask > 0; mask /= 2)
            value = Combined(kind, value, PtxLanes.OfWord(text.Word("shfl.sync.bfly.b32", $"{value.Register}, {mask}, 0x1f, 0xffffffff")));
        return value;
    }

    /// <summary>Of the values of a block's warps, which meet in shared memory; every warp does the same with them.</summary>
    private void OfBlock(string thread, int[] reductions, Func<int, ReduceKind> kindOf)
    {
        int warps = threads / Warp;
        string lane = text.Word("and.b32", $"{thread}, {Warp - 1}"), shared = text.Shared("partial", warps * reductions.Length);
        string mine = text.Word("mad.lo.u32", $"{text.Word("shr.u32", $"{thread}, 5")}, 4, {shared}"), others = text.Word("mad.lo.u32", $"{lane}, 4, {shared}");
        string first = text.Predicate("setp.eq.u32", $"{lane}, 0"), some = text.Predicate("setp.lt.u32", $"{lane}, {warps}");
        for (int k = 0; k < reductions.Length; k++) text.Line($"@{first} st.shared.b32 [{mine}+{4 * warps * k}], {_values[reductions[k]][0].Register}");
        text.Line("bar.sync 0");
        for (int k = 0; k < reductions.Length; k++)
        {
            string value = text.NewWord();
            text.Line($"mov.b32 {value}, {Neutral(kindOf(reductions[k])).Int}");
            text.Line($"@{some} ld.shared.b32 {value}, [{others}+{4 * warps * k}]");
            _values[reductions[k]] = [OfWarp(kindOf(reductions[k]), PtxLanes.OfWord(value))];
        }
    }

    private static PtxLanes Neutral(ReduceKind kind) => PtxLanes.Create(kind switch { ReduceKind.Sum => 0f, ReduceKind.Max => float.NegativeInfinity, _ => float.PositiveInfinity });

    private static PtxLanes Parts(ReduceKind kind, PtxLanes[] parts) => Combined(kind, Combined(kind, parts[0], parts[1]), Combined(kind, parts[2], parts[3]));

    private static PtxLanes Combined(ReduceKind kind, PtxLanes a, PtxLanes b) => PtxElementwise.Floats(kind switch { ReduceKind.Sum => BinaryKind.Add, ReduceKind.Max => BinaryKind.Maximum, _ => BinaryKind.Minimum }, a, b);
}
