using System.Globalization;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Cuda.Elementwise;

/// <summary>Functions that are not written over lanes, because a processor computes them by scalar code: the same steps in PTX.</summary>
internal static class PtxFunctions
{
    private static PtxWriter Text => PtxWriter.Current;

    private static PtxLanes Word(string instruction, string operands) => PtxLanes.OfWord(Text.Word(instruction, operands));

    /// <summary>The quotient towards zero; 0 where y is 0, and the smallest int divided by -1 is itself.</summary>
    public static PtxLanes Quotient(PtxLanes x, PtxLanes y)
    {
        var (zero, minusOne, divisor) = Divisor(y);
        var quotient = Word("div.s32", $"{x.Register}, {divisor.Int}");
        quotient = PtxLanes.Select(minusOne, PtxLanes.SubtractInt(PtxLanes.Create(0), x), quotient);
        return PtxLanes.Select(zero, PtxLanes.Create(0), quotient);
    }

    /// <summary>The largest int not above the quotient; 0 where y is 0, and the smallest int divided by -1 is itself.</summary>
    public static PtxLanes FloorQuotient(PtxLanes x, PtxLanes y)
    {
        var quotient = Quotient(x, y);
        // The product of the quotient towards zero and y is x where there is no remainder; where y is -1 or 0 there is none.
        var (zero, _, _) = Divisor(y);
        var exact = PtxLanes.EqualInt(PtxLanes.MultiplyInt(quotient, y), x) | zero;
        var otherSign = PtxLanes.LessInt(x ^ y, PtxLanes.Create(0));
        return PtxLanes.Select(otherSign & (exact ^ PtxLanes.Create(-1)), PtxLanes.AddInt(quotient, PtxLanes.Create(-1)), quotient);
    }

    /// <summary>The remainder with y's sign; 0 where y is 0 or -1.</summary>
    public static PtxLanes Remainder(PtxLanes x, PtxLanes y)
    {
        var (_, _, divisor) = Divisor(y);
        var remainder = Word("rem.s32", $"{x.Register}, {divisor.Int}");
        var none = PtxLanes.EqualInt(remainder, PtxLanes.Create(0));
        var otherSign = PtxLanes.LessInt(remainder ^ y, PtxLanes.Create(0));
        return PtxLanes.Select(otherSign & (none ^ PtxLanes.Create(-1)), PtxLanes.AddInt(remainder, y), remainder);
    }

    private static (PtxLanes Zero, PtxLanes MinusOne, PtxLanes Divisor) Divisor(PtxLanes y)
    {
        PtxLanes zero = PtxLanes.EqualInt(y, PtxLanes.Create(0)), minusOne = PtxLanes.EqualInt(y, PtxLanes.Create(-1));
        return (zero, minusOne, PtxLanes.Select(zero | minusOne, PtxLanes.Create(1), y));
    }

    /// <summary><see cref="VectorMath.ReduceLarge(float)"/> where the mask is set, behind a branch; every step as there.</summary>
    public static (PtxLanes R, PtxLanes Quarter) ReduceLarge(PtxLanes large, PtxLanes x, PtxLanes r, PtxLanes quarter)
    {
        string outR = Text.NewWord(), outQuarter = Text.NewWord(), end = Text.NewLabel(), mask = large.Mask;
        Text.Line($"mov.b32 {outR}, {r.Int}");
        Text.Line($"mov.b32 {outQuarter}, {quarter.Int}");
        Text.Line($"@!{mask} bra {end}");
        Text.Block(() =>
        {
            string bits = x.Register;
            string m = Text.Word("or.b32", $"{Text.Word("and.b32", $"{bits}, {0x007FFFFF}")}, {0x00800000}");
            string from = Text.Word("add.s32", $"{Text.Word("and.b32", $"{Text.Word("shr.s32", $"{bits}, 23")}, 255")}, {-150 - 2 + 32}");
            string first = Text.Word("shr.s32", $"{from}, 5"), shift = Text.Word("and.b32", $"{from}, 31");
            var words = new string[4];
            for (int i = 0; i < words.Length; i++)
            {
                string word = Bits(VectorMath.TwoOverPi[4 + i]);
                for (int k = 3; k >= 0; k--) word = Text.Word("selp.b32", $"{Bits(VectorMath.TwoOverPi[k + i])}, {word}, {Text.Predicate("setp.eq.s32", $"{first}, {k}")}");
                words[i] = word;
            }
            string Shifted(int i)
            {
                string both = Text.Long("or.b64", $"{Text.Long("shl.b64", $"{Text.Long("cvt.u64.u32", words[i])}, 32")}, {Text.Long("cvt.u64.u32", words[i + 1])}");
                return Text.Long("shr.u64", $"{Text.Long("shl.b64", $"{both}, {shift}")}, 32");
            }
            string factor = Text.Long("cvt.u64.u32", m);
            string high = Text.Long("or.b64", $"{Text.Long("shl.b64", $"{Shifted(0)}, 32")}, {Shifted(1)}");
            string low = Text.Long("shr.u64", $"{Text.Long("mul.lo.u64", $"{factor}, {Shifted(2)}")}, 32");
            string product = Text.Long("add.u64", $"{Text.Long("mul.lo.u64", $"{factor}, {high}")}, {low}");
            string multiple = Text.Long("shr.u64", $"{Text.Long("add.u64", $"{product}, {1L << 61}")}, 62");
            string rest = Text.Long("sub.u64", $"{product}, {Text.Long("shl.b64", $"{multiple}, 62")}");
            string upper = Text.Long("cvt.rn.f64.s32", Text.Word("cvt.u32.u64", Text.Long("shr.u64", $"{rest}, 32")));
            string lower = Text.Long("cvt.rn.f64.u32", Text.Word("cvt.u32.u64", rest));
            string sum = Text.Long("add.rn.f64", $"{Text.Long("mul.rn.f64", $"{upper}, {Double(4294967296.0)}")}, {lower}");
            var remainder = Word("cvt.rn.f32.f64", Text.Long("mul.rn.f64", $"{sum}, {Double(VectorMath.QuarterUnit)}"));
            var q = Word("cvt.u32.u64", multiple);
            var negative = PtxLanes.LessInt(x, PtxLanes.Create(0));
            remainder = PtxLanes.Select(negative, remainder ^ PtxLanes.Create(-0f), remainder) + (x - x);
            q = PtxLanes.Select(negative, PtxLanes.SubtractInt(PtxLanes.Create(0), q), q);
            Text.Line($"mov.b32 {outR}, {remainder.Register}");
            Text.Line($"mov.b32 {outQuarter}, {q.Register}");
        });
        Text.Label(end);
        return (PtxLanes.OfWord(outR), PtxLanes.OfWord(outQuarter));
    }

    // Of log and exp: 1/3, 1/5, .. and 1/2!, 1/3!, .., as many as float64 needs on their ranges.
    private const int LogTerms = 11, ExpTerms = 14;

    /// <summary>
    /// x^y as IEEE 754 has it, in float64: 2^(y log2|x|), rounded to float once. A processor's own function agrees but for ties that neither decides exactly. The logarithm of the part in
    /// [sqrt(1/2), sqrt(2)) is the series of the inverse hyperbolic tangent; both series end where their terms leave float64's first 50 bits.
    /// </summary>
    public static PtxLanes Power(PtxLanes x, PtxLanes y)
    {
        PtxLanes zero = PtxLanes.Create(0f), one = PtxLanes.Create(1f), infinity = PtxLanes.Create(float.PositiveInfinity), magnitude = PtxLanes.Abs(x);

        // |x| = m 2^e. Of float64, whose exponent all floats fit in, e is what lies above the bits of sqrt(1/2).
        string bits = Text.Long("mov.b64", Text.Long("cvt.f64.f32", magnitude.Register));
        string upper = Text.Word("cvt.u32.u64", Text.Long("shr.u64", $"{bits}, 32"));
        string e = Text.Word("shr.s32", $"{Text.Word("sub.s32", $"{upper}, {0x3FE6A09E}")}, 20");
        string m = Text.Long("sub.u64", $"{bits}, {Text.Long("shl.b64", $"{Text.Long("cvt.u64.u32", e)}, 52")}");
        string f = Text.Long("div.rn.f64", $"{Text.Long("sub.rn.f64", $"{m}, {Double(1)}")}, {Text.Long("add.rn.f64", $"{m}, {Double(1)}")}");
        string square = Text.Long("mul.rn.f64", $"{f}, {f}"), series = Text.Long("mov.f64", Double(1.0 / (2 * LogTerms + 1)));
        for (int k = LogTerms - 1; k >= 0; k--) series = Text.Long("fma.rn.f64", $"{series}, {square}, {Double(1.0 / (2 * k + 1))}");
        const double twoOverLn2 = 2.8853900817779268;
        string log = Text.Long("mul.rn.f64", $"{Text.Long("mul.rn.f64", $"{f}, {Double(twoOverLn2)}")}, {series}");
        log = Text.Long("add.rn.f64", $"{log}, {Text.Long("cvt.rn.f64.s32", e)}");
        log = Text.Long("selp.f64", $"{Double(double.NegativeInfinity)}, {log}, {PtxLanes.Equal(magnitude, zero).Mask}");
        log = Text.Long("selp.f64", $"{Double(double.PositiveInfinity)}, {log}, {PtxLanes.Equal(magnitude, infinity).Mask}");

        // 2^t, |t| bounded by what is infinite or 0 as a float already; NaN passes both comparisons by.
        string t = Text.Long("mul.rn.f64", $"{log}, {Text.Long("cvt.f64.f32", y.Register)}");
        t = Text.Long("selp.f64", $"{Double(200)}, {t}, {Text.Predicate("setp.gt.f64", $"{t}, {Double(200)}")}");
        t = Text.Long("selp.f64", $"{Double(-200)}, {t}, {Text.Predicate("setp.lt.f64", $"{t}, {Double(-200)}")}");
        const double magic = 6755399441055744; // 1.5 * 2^52: its sum with t has the nearest int in its low bits
        string shifted = Text.Long("add.rn.f64", $"{t}, {Double(magic)}");
        string n = Text.Word("cvt.u32.u64", shifted);
        string r = Text.Long("mul.rn.f64", $"{Text.Long("sub.rn.f64", $"{t}, {Text.Long("sub.rn.f64", $"{shifted}, {Double(magic)}")}")}, {Double(0.6931471805599453)}");
        double factorial = 1;
        for (int k = 2; k <= ExpTerms; k++) factorial *= k;
        string power = Text.Long("mov.f64", Double(1 / factorial));
        for (int k = ExpTerms; k >= 1; k--)
        {
            factorial /= k;
            power = Text.Long("fma.rn.f64", $"{power}, {r}, {Double(1 / factorial)}");
        }
        string scale = Text.Long("shl.b64", $"{Text.Long("cvt.u64.u32", Text.Word("add.s32", $"{n}, 1023"))}, 52");
        var result = Word("cvt.rn.f32.f64", Text.Long("mul.rn.f64", $"{power}, {scale}"));
        result = PtxLanes.Select(PtxLanes.Equal(magnitude, one), one, result); // also where y is infinite

        // The sign of an odd power, and numbers below zero that have none.
        var half = y * PtxLanes.Create(0.5f);
        PtxLanes integer = PtxLanes.Equal(PtxLanes.Floor(y), y), odd = integer & (PtxLanes.Equal(PtxLanes.Floor(half), half) ^ PtxLanes.Create(-1));
        result = PtxLanes.Select(odd, result ^ (x & PtxLanes.Create(-0f)), result);
        var without = PtxLanes.Less(x, zero) & PtxLanes.Less(magnitude, infinity) & (integer ^ PtxLanes.Create(-1));
        result = PtxLanes.Select(without, PtxLanes.Create(float.NaN), result);
        result = PtxLanes.Select(PtxLanes.OfPredicate(Text.Predicate("setp.nan.f32", $"{x.Register}, {y.Register}")), x + y, result);
        return PtxLanes.Select(PtxLanes.Equal(y, zero) | PtxLanes.Equal(x, one), one, result);
    }

    private static string Double(double x) => string.Create(CultureInfo.InvariantCulture, $"0d{BitConverter.DoubleToInt64Bits(x):X16}");

    private static string Bits(uint x) => unchecked((int)x).ToString(CultureInfo.InvariantCulture);
}
