using System.Globalization;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>
/// One element, as lanes that compute nothing but write what is to be computed: running a function of <see cref="ILanes{T}"/> on them gives its PTX. A value is a register, a constant, or
/// a mask in a predicate; a mask becomes a word of equal bits where a function uses it as one. NaN may have other bits than on a processor, all else is the same.
/// </summary>
internal readonly unsafe struct PtxLanes : ILanes<PtxLanes>
{
    private enum Kind { Word, Predicate, Constant }

    private readonly Kind _kind;
    private readonly int _number; // of the register, or the constant's bits

    private PtxLanes(Kind kind, int number) => (_kind, _number) = (kind, number);

    private static PtxWriter Text => PtxWriter.Current;

    /// <summary>A value that lies in a word's register.</summary>
    public static PtxLanes OfWord(string register) => new(Kind.Word, int.Parse(register.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture));

    /// <summary>A mask that lies in a predicate.</summary>
    public static PtxLanes OfPredicate(string register) => new(Kind.Predicate, int.Parse(register.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture));

    /// <summary>As an operand of an instruction on floats.</summary>
    public string Float => _kind switch
    {
        Kind.Constant => string.Create(CultureInfo.InvariantCulture, $"0f{_number:X8}"),
        Kind.Word => string.Create(CultureInfo.InvariantCulture, $"%r{_number}"),
        _ => Text.Word("selp.b32", $"-1, 0, {Mask}"),
    };

    /// <summary>As an operand of an instruction on ints or bits.</summary>
    public string Int => _kind == Kind.Constant ? _number.ToString(CultureInfo.InvariantCulture) : Float;

    /// <summary>As a predicate.</summary>
    public string Mask => _kind switch
    {
        Kind.Predicate => string.Create(CultureInfo.InvariantCulture, $"%p{_number}"),
        Kind.Word => Text.Predicate("setp.ne.s32", $"{Int}, 0"),
        _ => Text.Predicate("setp.ne.s32", $"{Text.Word("mov.b32", Int)}, 0"),
    };

    /// <summary>In a register.</summary>
    public string Register => _kind == Kind.Constant ? Text.Word("mov.b32", Int) : Float;

    private static PtxLanes Word(string instruction, string operands) => OfWord(Text.Word(instruction, operands));

    private static PtxLanes Test(string instruction, string operands) => OfPredicate(Text.Predicate(instruction, operands));

    public static int Count => 1;

    public static PtxLanes Create(float x) => new(Kind.Constant, BitConverter.SingleToInt32Bits(x));

    public static PtxLanes Create(int x) => new(Kind.Constant, x);

    public static PtxLanes operator +(PtxLanes a, PtxLanes b) => Word("add.rn.f32", $"{a.Float}, {b.Float}");

    public static PtxLanes operator -(PtxLanes a, PtxLanes b) => Word("sub.rn.f32", $"{a.Float}, {b.Float}");

    public static PtxLanes operator *(PtxLanes a, PtxLanes b) => Word("mul.rn.f32", $"{a.Float}, {b.Float}");

    public static PtxLanes operator /(PtxLanes a, PtxLanes b) => Word("div.rn.f32", $"{a.Float}, {b.Float}");

    public static PtxLanes operator &(PtxLanes a, PtxLanes b) => (a._kind, b._kind) switch
    {
        (Kind.Predicate, Kind.Predicate) => Test("and.pred", $"{a.Mask}, {b.Mask}"),
        (Kind.Predicate, _) => Word("selp.b32", $"{b.Int}, 0, {a.Mask}"),
        (_, Kind.Predicate) => b & a,
        _ => Word("and.b32", $"{a.Int}, {b.Int}"),
    };

    public static PtxLanes operator |(PtxLanes a, PtxLanes b) =>
        a._kind == Kind.Predicate && b._kind == Kind.Predicate ? Test("or.pred", $"{a.Mask}, {b.Mask}") : Word("or.b32", $"{a.Int}, {b.Int}");

    public static PtxLanes operator ^(PtxLanes a, PtxLanes b) => (a._kind, b._kind) switch
    {
        (Kind.Predicate, Kind.Predicate) => Test("xor.pred", $"{a.Mask}, {b.Mask}"),
        (Kind.Predicate, Kind.Constant) when b._number == -1 => Test("not.pred", a.Mask),
        _ => Word("xor.b32", $"{a.Int}, {b.Int}"),
    };

    public static PtxLanes Clear(PtxLanes x, PtxLanes mask) => Word("selp.b32", $"0, {x.Int}, {mask.Mask}");

    public static PtxLanes Fma(PtxLanes a, PtxLanes b, PtxLanes c) => Word("fma.rn.f32", $"{a.Float}, {b.Float}, {c.Float}");

    public static PtxLanes MulAdd(PtxLanes a, PtxLanes b, PtxLanes c) => Fma(a, b, c);

    public static PtxLanes Sqrt(PtxLanes x) => Word("sqrt.rn.f32", x.Float);

    public static PtxLanes Floor(PtxLanes x) => Word("cvt.rmi.f32.f32", x.Register);

    public static PtxLanes Round(PtxLanes x) => Word("cvt.rni.f32.f32", x.Register);

    public static PtxLanes Abs(PtxLanes x) => Word("and.b32", $"{x.Int}, {int.MaxValue}");

    // The GPU's own maximum and minimum return the number where one is NaN. Equal numbers differ in the sign of zero at most, which the bits decide.
    public static PtxLanes Max(PtxLanes a, PtxLanes b) => Extreme(Less(a, b), a, b, a & b);

    public static PtxLanes Min(PtxLanes a, PtxLanes b) => Extreme(Less(b, a), a, b, a | b);

    private static PtxLanes Extreme(PtxLanes second, PtxLanes a, PtxLanes b, PtxLanes ofEqual)
    {
        var result = Select(Equal(a, b), ofEqual, Select(second, b, a));
        return Select(Test("setp.nan.f32", $"{a.Register}, {b.Register}"), a + b, result);
    }

    public static PtxLanes Equal(PtxLanes a, PtxLanes b) => Test("setp.eq.f32", $"{a.Register}, {b.Float}");

    public static PtxLanes Less(PtxLanes a, PtxLanes b) => Test("setp.lt.f32", $"{a.Register}, {b.Float}");

    public static PtxLanes LessEqual(PtxLanes a, PtxLanes b) => Test("setp.le.f32", $"{a.Register}, {b.Float}");

    public static PtxLanes Select(PtxLanes mask, PtxLanes a, PtxLanes b) => mask._kind == Kind.Constant ? mask._number != 0 ? a : b : Word("selp.b32", $"{a.Int}, {b.Int}, {mask.Mask}");

    public static PtxLanes AddInt(PtxLanes a, PtxLanes b) => Word("add.s32", $"{a.Int}, {b.Int}");

    public static PtxLanes SubtractInt(PtxLanes a, PtxLanes b) => Word("sub.s32", $"{a.Int}, {b.Int}");

    public static PtxLanes MultiplyInt(PtxLanes a, PtxLanes b) => Word("mul.lo.s32", $"{a.Int}, {b.Int}");

    public static PtxLanes MaxInt(PtxLanes a, PtxLanes b) => Word("max.s32", $"{a.Int}, {b.Int}");

    public static PtxLanes MinInt(PtxLanes a, PtxLanes b) => Word("min.s32", $"{a.Int}, {b.Int}");

    public static PtxLanes EqualInt(PtxLanes a, PtxLanes b) => Test("setp.eq.s32", $"{a.Register}, {b.Int}");

    public static PtxLanes LessInt(PtxLanes a, PtxLanes b) => Test("setp.lt.s32", $"{a.Register}, {b.Int}");

    public static PtxLanes ShiftLeft(PtxLanes a, int bits) => Word("shl.b32", $"{a.Int}, {bits}");

    public static PtxLanes ShiftRight(PtxLanes a, int bits) => Word("shr.s32", $"{a.Int}, {bits}");

    public static PtxLanes ToFloat(PtxLanes a) => Word("cvt.rn.f32.s32", a.Register);

    public static PtxLanes ToInt(PtxLanes a) => Word("cvt.rzi.s32.f32", a.Register);

    public static (PtxLanes R, PtxLanes Quarter) ReduceLarge(PtxLanes large, PtxLanes x, PtxLanes r, PtxLanes quarter) => PtxFunctions.ReduceLarge(large, x, r, quarter);

    // Memory is the kernel's affair, and one element has no neighbours.

    public static PtxLanes Load(float* p) => throw Without();

    public static void Store(PtxLanes x, float* p) => throw Without();

    public static PtxLanes LoadMask(byte* p) => throw Without();

    public static void StoreMask(PtxLanes mask, byte* p) => throw Without();

    public static PtxLanes LoadByte(byte* p) => throw Without();

    public static void StoreByte(PtxLanes x, byte* p) => throw Without();

    public static PtxLanes LoadUpper(ushort* p) => throw Without();

    public static void StoreUpper(PtxLanes x, ushort* p) => throw Without();

    public static bool Any(PtxLanes mask) => throw Without();

    public static float Sum(PtxLanes x) => throw Without();

    private static NotSupportedException Without() => new("lanes that write text have no memory and no values");
}
