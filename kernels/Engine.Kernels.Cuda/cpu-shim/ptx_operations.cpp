// The table of the instructions that compute, each a loop over threads. Results have the bits that PTX documents; where it leaves
// them open (division by zero) they are those of one choice.
#include "ptx_code.h"
#include <cstring>
#include <type_traits>

namespace engine_standin::ptx
{

// Letters of types in the table.
Type type_of_letter(char letter)
{
    switch (letter)
    {
        case 'p': return Type::Pred;
        case 'y': return Type::U8;
        case 'h': return Type::B16;
        case 'v': return Type::U16;
        case 'w': return Type::B32;
        case 'i': return Type::S32;
        case 'u': return Type::U32;
        case 'f': return Type::F32;
        case 'x': return Type::B64;
        case 'l': return Type::S64;
        case 'm': return Type::U64;
        default: return Type::F64; // d
    }
}

namespace
{

template <typename T> struct Wider;
template <> struct Wider<int32_t> { using Type = int64_t; };
template <> struct Wider<uint32_t> { using Type = uint64_t; };

template <typename T> T* aligned(unsigned char* p) { return static_cast<T*>(__builtin_assume_aligned(p, 64)); }

template <typename D, typename A, typename F> void unary(Frame& frame, const Step& step, unsigned char* to)
{
    D* d = aligned<D>(to);
    const A* a = aligned<A>(frame.file + step.a);
    int n = frame.lanes & ~15;
#pragma GCC ivdep
    for (int i = 0; i < n; i++) d[i] = F::of(a[i]);
}

template <typename D, typename A, typename B, typename F> void binary(Frame& frame, const Step& step, unsigned char* to)
{
    D* d = aligned<D>(to);
    const A* a = aligned<A>(frame.file + step.a);
    const B* b = aligned<B>(frame.file + step.b);
    int n = frame.lanes & ~15;
#pragma GCC ivdep
    for (int i = 0; i < n; i++) d[i] = F::of(a[i], b[i]);
}

template <typename D, typename A, typename B, typename C, typename F> void ternary(Frame& frame, const Step& step, unsigned char* to)
{
    D* d = aligned<D>(to);
    const A* a = aligned<A>(frame.file + step.a);
    const B* b = aligned<B>(frame.file + step.b);
    const C* c = aligned<C>(frame.file + step.c);
    int n = frame.lanes & ~15;
#pragma GCC ivdep
    for (int i = 0; i < n; i++) d[i] = F::of(a[i], b[i], c[i]);
}

#define FUNCTION1(name, expression) struct name { template <typename A> static auto of(A a) { return expression; } };
#define FUNCTION2(name, expression) struct name { template <typename A> static auto of(A a, A b) { return expression; } };
#define FUNCTION3(name, expression) struct name { template <typename A> static auto of(A a, A b, A c) { return expression; } };

// Whole numbers wrap around: computed without sign.
template <typename T> using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
FUNCTION1(Same, a)
FUNCTION2(AddWhole, (A)((Bits<A>)a + (Bits<A>)b))
FUNCTION2(SubtractWhole, (A)((Bits<A>)a - (Bits<A>)b))
FUNCTION2(MultiplyWhole, (A)((Bits<A>)a * (Bits<A>)b))
FUNCTION3(MultiplyAddWhole, (A)((Bits<A>)a * (Bits<A>)b + (Bits<A>)c))
FUNCTION2(MultiplyHigh, (A)((typename Wider<A>::Type)a * b >> 32))
FUNCTION2(Smaller, b < a ? b : a)
FUNCTION2(Larger, a < b ? b : a)
FUNCTION1(NegateWhole, (A)(0u - (Bits<A>)a))
FUNCTION1(AbsoluteWhole, (A)(a < 0 ? 0u - (Bits<A>)a : (Bits<A>)a))
FUNCTION2(Add, a + b)
FUNCTION2(Subtract, a - b)
FUNCTION2(Multiply, a * b)
FUNCTION2(Divide, a / b)
FUNCTION2(And, a & b)
FUNCTION2(Or, a | b)
FUNCTION2(Xor, a ^ b)
FUNCTION1(Not, ~a)
FUNCTION1(Not16, ~a & 0xFFFFu)
FUNCTION2(Equal, -(uint32_t)(a == b))
FUNCTION2(Less, -(uint32_t)(a < b))
FUNCTION2(LessOrEqual, -(uint32_t)(a <= b))
FUNCTION2(Greater, -(uint32_t)(a > b))
FUNCTION2(GreaterOrEqual, -(uint32_t)(a >= b))
FUNCTION2(NotEqual, -(uint32_t)(a < b || a > b)) // of numbers: false if one is NaN
FUNCTION2(EqualOrNan, -(uint32_t)!(a < b || a > b))
FUNCTION2(NotEqualOrNan, -(uint32_t)(a != b))
FUNCTION2(LessOrNan, -(uint32_t)!(a >= b))
FUNCTION2(LessOrEqualOrNan, -(uint32_t)!(a > b))
FUNCTION2(GreaterOrNan, -(uint32_t)!(a <= b))
FUNCTION2(GreaterOrEqualOrNan, -(uint32_t)!(a < b))
FUNCTION2(BothNumbers, -(uint32_t)(a == a && b == b))
FUNCTION2(SomeNan, -(uint32_t)(a != a || b != b))
FUNCTION1(Low8, (uint32_t)(a & 0xFFu))
FUNCTION1(Low16, (uint32_t)(a & 0xFFFFu))

template <typename D> struct Convert
{
    template <typename A> static D of(A a) { return (D)a; }
};

template <typename A> struct Product
{
    static typename Wider<A>::Type of(A a, A b) { return (typename Wider<A>::Type)a * b; }
    static typename Wider<A>::Type of(A a, A b, typename Wider<A>::Type c) { return (typename Wider<A>::Type)((uint64_t)((typename Wider<A>::Type)a * b) + (uint64_t)c); }
};

// By zero all bits are set; the smallest by -1 is itself.
struct Quotient
{
    template <typename A> static A of(A a, A b)
    {
        if (b == 0) return (A)-1;
        if (std::is_signed_v<A> && b == (A)-1) return NegateWhole::of(a);
        return a / b;
    }
};

struct Remainder
{
    template <typename A> static A of(A a, A b)
    {
        if (b == 0) return a;
        if (std::is_signed_v<A> && b == (A)-1) return 0;
        return a % b;
    }
};

// Amounts above the width act as the width.
struct ShiftLeft
{
    template <typename A> static A of(A a, uint32_t n) { return n < 8 * sizeof(A) ? a << n : 0; }
};

struct ShiftRight
{
    template <typename A> static A of(A a, uint32_t n)
    {
        if (std::is_signed_v<A>) return a >> (n < 8 * sizeof(A) ? n : 8 * sizeof(A) - 1);
        return n < 8 * sizeof(A) ? a >> n : 0;
    }
};

struct Fused
{
    static float of(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
    static double of(double a, double b, double c) { return __builtin_fma(a, b, c); }
};

struct Root
{
    static float of(float a) { return __builtin_sqrtf(a); }
    static double of(double a) { return __builtin_sqrt(a); }
};

template <typename To, typename From> To bits(From x)
{
    To result;
    memcpy(&result, &x, sizeof result);
    return result;
}

struct Negate
{
    static float of(float a) { return bits<float>(bits<uint32_t>(a) ^ 0x80000000u); }
    static double of(double a) { return bits<double>(bits<uint64_t>(a) ^ 0x8000000000000000ull); }
};

struct Absolute
{
    static float of(float a) { return bits<float>(bits<uint32_t>(a) & 0x7FFFFFFFu); }
    static double of(double a) { return bits<double>(bits<uint64_t>(a) & 0x7FFFFFFFFFFFFFFFull); }
};

struct Choose
{
    template <typename A> static A of(A a, A b, uint32_t p) { return p ? a : b; }
};

struct NearestEven { static float of(float a) { return __builtin_nearbyintf(a); } };
struct Floor { static float of(float a) { return __builtin_floorf(a); } };
struct Ceiling { static float of(float a) { return __builtin_ceilf(a); } };
struct Truncate { static float of(float a) { return __builtin_truncf(a); } };

// To the nearest of the range; NaN is 0.
struct ToInteger
{
    static int32_t of(float a)
    {
        float bounded = a < -2147483648.0f ? -2147483648.0f : a;
        bool above = bounded >= 2147483648.0f, number = a == a;
        int32_t result = (int32_t)(above || !number ? 0.0f : bounded);
        return above ? 2147483647 : result;
    }
};

using Table = std::map<std::string, Operation>;
using F32 = float;
using F64 = double;
using S32 = int32_t;
using U32 = uint32_t;
using S64 = int64_t;
using U64 = uint64_t;

template <typename T> struct Letter;
template <> struct Letter<F32> { static constexpr char value = 'f'; static constexpr const char* name = ".f32"; };
template <> struct Letter<F64> { static constexpr char value = 'd'; static constexpr const char* name = ".f64"; };
template <> struct Letter<S32> { static constexpr char value = 'i'; static constexpr const char* name = ".s32"; };
template <> struct Letter<U32> { static constexpr char value = 'u'; static constexpr const char* name = ".u32"; };
template <> struct Letter<S64> { static constexpr char value = 'l'; static constexpr const char* name = ".s64"; };
template <> struct Letter<U64> { static constexpr char value = 'm'; static constexpr const char* name = ".u64"; };

template <typename T> void add1(Table& t, const char* name, Handler run) { t[std::string(name) + Letter<T>::name] = {std::string(2, Letter<T>::value), run}; }
template <typename T> void add2(Table& t, const char* name, Handler run) { t[std::string(name) + Letter<T>::name] = {std::string(3, Letter<T>::value), run}; }
template <typename T> void add3(Table& t, const char* name, Handler run) { t[std::string(name) + Letter<T>::name] = {std::string(4, Letter<T>::value), run}; }
template <typename T, typename F> void compare(Table& t, const char* name)
{
    t[std::string("setp.") + name + Letter<T>::name] = {std::string("p") + std::string(2, Letter<T>::value), &binary<U32, T, T, F>};
}

template <typename T> void whole(Table& t)
{
    add2<T>(t, "add", &binary<T, T, T, AddWhole>);
    add2<T>(t, "sub", &binary<T, T, T, SubtractWhole>);
    add2<T>(t, "mul.lo", &binary<T, T, T, MultiplyWhole>);
    add3<T>(t, "mad.lo", &ternary<T, T, T, T, MultiplyAddWhole>);
    add2<T>(t, "div", &binary<T, T, T, Quotient>);
    add2<T>(t, "rem", &binary<T, T, T, Remainder>);
    add2<T>(t, "min", &binary<T, T, T, Smaller>);
    add2<T>(t, "max", &binary<T, T, T, Larger>);
    compare<T, Equal>(t, "eq");
    compare<T, NotEqualOrNan>(t, "ne");
    compare<T, Less>(t, "lt");
    compare<T, LessOrEqual>(t, "le");
    compare<T, Greater>(t, "gt");
    compare<T, GreaterOrEqual>(t, "ge");
    t[std::string("shr") + Letter<T>::name] = {std::string(2, Letter<T>::value) + "u", &binary<T, T, U32, ShiftRight>};
    t[std::string("selp") + Letter<T>::name] = {std::string(3, Letter<T>::value) + "p", &ternary<T, T, T, U32, Choose>};
}

template <typename T> void widening(Table& t)
{
    using Wide = typename Wider<T>::Type;
    std::string two(2, Letter<T>::value), wide(1, Letter<Wide>::value);
    t[std::string("mul.wide") + Letter<T>::name] = {wide + two, &binary<Wide, T, T, Product<T>>};
    t[std::string("mad.wide") + Letter<T>::name] = {wide + two + wide, &ternary<Wide, T, T, Wide, Product<T>>};
    add2<T>(t, "mul.hi", &binary<T, T, T, MultiplyHigh>);
}

template <typename T> void floating(Table& t)
{
    add2<T>(t, "add.rn", &binary<T, T, T, Add>);
    add2<T>(t, "sub.rn", &binary<T, T, T, Subtract>);
    add2<T>(t, "mul.rn", &binary<T, T, T, Multiply>);
    add2<T>(t, "div.rn", &binary<T, T, T, Divide>);
    add3<T>(t, "fma.rn", &ternary<T, T, T, T, Fused>);
    add1<T>(t, "sqrt.rn", &unary<T, T, Root>);
    add1<T>(t, "neg", &unary<T, T, Negate>);
    add1<T>(t, "abs", &unary<T, T, Absolute>);
    compare<T, Equal>(t, "eq");
    compare<T, NotEqual>(t, "ne");
    compare<T, Less>(t, "lt");
    compare<T, LessOrEqual>(t, "le");
    compare<T, Greater>(t, "gt");
    compare<T, GreaterOrEqual>(t, "ge");
    compare<T, EqualOrNan>(t, "equ");
    compare<T, NotEqualOrNan>(t, "neu");
    compare<T, LessOrNan>(t, "ltu");
    compare<T, LessOrEqualOrNan>(t, "leu");
    compare<T, GreaterOrNan>(t, "gtu");
    compare<T, GreaterOrEqualOrNan>(t, "geu");
    compare<T, BothNumbers>(t, "num");
    compare<T, SomeNan>(t, "nan");
    t[std::string("selp") + Letter<T>::name] = {std::string(3, Letter<T>::value) + "p", &ternary<T, T, T, U32, Choose>};
}

template <typename T, typename Inverse> void logic(Table& t, const std::string& suffix, char letter)
{
    t["and" + suffix] = {std::string(3, letter), &binary<T, T, T, And>};
    t["or" + suffix] = {std::string(3, letter), &binary<T, T, T, Or>};
    t["xor" + suffix] = {std::string(3, letter), &binary<T, T, T, Xor>};
    t["not" + suffix] = {std::string(2, letter), &unary<T, T, Inverse>};
}

template <typename D, typename A, typename F = Convert<D>> void convert(Table& t, const std::string& name, const char* letters)
{
    t["cvt." + name] = {letters, &unary<D, A, F>};
}

Table make_table()
{
    Table t;
    whole<S32>(t), whole<U32>(t), whole<S64>(t), whole<U64>(t);
    widening<S32>(t), widening<U32>(t);
    floating<F32>(t), floating<F64>(t);
    add1<S32>(t, "neg", &unary<S32, S32, NegateWhole>);
    add1<S32>(t, "abs", &unary<S32, S32, AbsoluteWhole>);
    logic<U32, Not>(t, ".b32", 'w'), logic<U64, Not>(t, ".b64", 'x'), logic<U32, Not>(t, ".pred", 'p'), logic<U32, Not16>(t, ".b16", 'h');
    t["shl.b32"] = {"wwu", &binary<U32, U32, U32, ShiftLeft>};
    t["shl.b64"] = {"xxu", &binary<U64, U64, U32, ShiftLeft>};
    t["setp.eq.b32"] = {"pww", &binary<U32, U32, U32, Equal>};
    t["setp.ne.b32"] = {"pww", &binary<U32, U32, U32, NotEqualOrNan>};
    t["selp.b32"] = {"wwwp", &ternary<U32, U32, U32, U32, Choose>};
    t["selp.b64"] = {"xxxp", &ternary<U64, U64, U64, U32, Choose>};
    for (auto [name, letter] : {std::pair{"u32", 'u'}, {"s32", 'i'}, {"b32", 'w'}, {"f32", 'f'}, {"pred", 'p'}, {"b16", 'h'}})
        t[std::string("mov.") + name] = {std::string(2, letter), &unary<U32, U32, Same>};
    for (auto [name, letter] : {std::pair{"u64", 'm'}, {"s64", 'l'}, {"b64", 'x'}, {"f64", 'd'}})
        t[std::string("mov.") + name] = {std::string(2, letter), &unary<U64, U64, Same>};
    t["cvta.to.global.u64"] = {"mm", &unary<U64, U64, Same>};

    convert<F32, S32>(t, "rn.f32.s32", "fi");
    convert<F32, U32>(t, "rn.f32.u32", "fu");
    convert<F32, F64>(t, "rn.f32.f64", "fd");
    convert<F64, F32>(t, "f64.f32", "df");
    convert<F64, S32>(t, "rn.f64.s32", "di");
    convert<F64, U32>(t, "rn.f64.u32", "du");
    convert<S32, F32, ToInteger>(t, "rzi.s32.f32", "if");
    convert<F32, F32, NearestEven>(t, "rni.f32.f32", "ff");
    convert<F32, F32, Floor>(t, "rmi.f32.f32", "ff");
    convert<F32, F32, Ceiling>(t, "rpi.f32.f32", "ff");
    convert<F32, F32, Truncate>(t, "rzi.f32.f32", "ff");
    convert<U64, U32>(t, "u64.u32", "mu"), convert<S64, U32>(t, "s64.u32", "lu"), convert<U64, S32>(t, "u64.s32", "mi"), convert<S64, S32>(t, "s64.s32", "li");
    convert<U32, U64>(t, "u32.u64", "um"), convert<S32, U64>(t, "s32.u64", "im"), convert<U32, S64>(t, "u32.s64", "ul"), convert<S32, S64>(t, "s32.s64", "il");
    convert<U32, U32, Low8>(t, "u32.u8", "uy"), convert<U32, U32, Low8>(t, "s32.u8", "iy"), convert<U32, U32, Low8>(t, "u16.u8", "vy");
    convert<U32, U32, Low16>(t, "u32.u16", "uv"), convert<U32, U32, Low16>(t, "s32.u16", "iv"), convert<U32, U32, Low16>(t, "u16.u16", "vv");
    convert<U32, U32, Low16>(t, "u16.u32", "vu"), convert<U32, U32, Low8>(t, "u8.u32", "yu");
    return t;
}

} // namespace

const std::map<std::string, Operation>& operations()
{
    static const auto table = new Table(make_table());
    return *table;
}

} // namespace engine_standin::ptx
