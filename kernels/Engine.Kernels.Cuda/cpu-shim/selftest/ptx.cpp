// The interpreter: every instruction of the table against C, memory, branches, and what is refused.
#include "host.h"
#include <algorithm>
#include <chrono>
#include <climits>
#include <cmath>
#include <limits>
#include <tuple>
#include <type_traits>

static const std::string head = ".version 6.5\n.target sm_75\n.address_size 64\n";

static void* load(const std::string& text, const char* entry, int expected = 0)
{
    void *module = nullptr, *function = nullptr;
    char log[512] = "";
    int options[] = {5, 6};
    void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
    int status = cuModuleLoadDataEx(&module, text.c_str(), 2, options, values);
    CHECK(status == expected);
    if (status != expected) fprintf(stderr, "status %d: %s\n%s\n", status, log, text.c_str());
    if (status == 0) CHECK(cuModuleGetFunction(&function, module, entry) == 0);
    return function;
}

// ---- Instructions that compute

template <typename T> struct Kind;
template <> struct Kind<float> { static constexpr const char *reg = "%f", *move = "mov.b32"; };
template <> struct Kind<int32_t> { static constexpr const char *reg = "%r", *move = "mov.b32"; };
template <> struct Kind<uint32_t> { static constexpr const char *reg = "%r", *move = "mov.b32"; };
template <> struct Kind<double> { static constexpr const char *reg = "%d", *move = "mov.b64"; };
template <> struct Kind<int64_t> { static constexpr const char *reg = "%rd", *move = "mov.b64"; };
template <> struct Kind<uint64_t> { static constexpr const char *reg = "%rd", *move = "mov.b64"; };
template <> struct Kind<bool> { static constexpr const char *reg = "%p", *move = ""; };
template <> struct Kind<uint16_t> { static constexpr const char *reg = "%h", *move = ""; };

static const int interesting = 24;
static uint64_t patterns[interesting] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 100, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000,
    0x00000001, 0x80000001, 0x4B000001, 0x4F000000, 0xCF000000};

template <typename T> T from_bits(uint64_t bits)
{
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
template <> bool from_bits<bool>(uint64_t bits) { return bits & 1; }

// Values of a type: the interesting ones of 32 bits (64-bit floats of the same value), and random ones.
template <typename T> uint64_t sample(Numbers& numbers, size_t i, int stride)
{
    uint64_t random = (uint64_t)numbers.word() << 32 | numbers.word();
    if (std::is_same_v<T, bool>) return i / stride & 1;
    size_t place = i / stride % 48;
    if (std::is_same_v<T, double>)
    {
        double d = place < interesting ? (double)from_bits<float>(patterns[place]) : place % 2 ? numbers.unit() * 1000.0 : from_bits<double>(random);
        memcpy(&random, &d, 8);
        return random;
    }
    if (std::is_same_v<T, float>)
    {
        float f = place < interesting ? from_bits<float>(patterns[place]) : place % 2 ? numbers.unit() * 1000.0f : from_bits<float>(random);
        uint32_t bits;
        memcpy(&bits, &f, 4);
        return bits;
    }
    if (place < interesting) return std::is_signed_v<T> ? (uint64_t)(int64_t)(int32_t)patterns[place] : patterns[place] << (place % 3 ? 0 : sizeof(T) == 8 ? 32 : 0);
    return place % 2 ? random % 1000 : random;
}

// Text that puts the 64 bits in %rd<in> into a register of the type.
template <typename T> std::string unpack(int operand)
{
    std::string k = std::to_string(operand), wide = "%rd2" + k, target = std::string(Kind<T>::reg) + "1" + k;
    if (std::is_same_v<T, bool>) return "cvt.u32.u64 %r2" + k + ", " + wide + "; and.b32 %r2" + k + ", %r2" + k + ", 1; setp.ne.u32 " + target + ", %r2" + k + ", 0;\n";
    if (std::is_same_v<T, uint16_t>) return "cvt.u32.u64 %r2" + k + ", " + wide + "; cvt.u16.u32 " + target + ", %r2" + k + ";\n";
    if (sizeof(T) == 4) return "cvt.u32.u64 %r2" + k + ", " + wide + "; mov.b32 " + target + ", %r2" + k + ";\n";
    return "mov.b64 " + target + ", " + wide + ";\n";
}

template <typename T> std::string pack(const std::string& from)
{
    if (std::is_same_v<T, bool>) return "selp.u32 %r30, 1, 0, " + from + "; cvt.u64.u32 %rd30, %r30;\n";
    if (std::is_same_v<T, uint16_t>) return "cvt.u32.u16 %r30, " + from + "; cvt.u64.u32 %rd30, %r30;\n";
    if (sizeof(T) == 4) return "mov.b32 %r30, " + from + "; cvt.u64.u32 %rd30, %r30;\n";
    return "mov.b64 %rd30, " + from + ";\n";
}

static int instructions_tested;

struct OperandText { std::string unpacked, name; };

// Runs an instruction on samples of its operands and compares with what the function gives, bit by bit or NaN with NaN.
static void run_instruction(const std::string& name, const std::vector<uint64_t> (&x)[3], const std::vector<OperandText>& sources, const std::string& result, const std::string& packed,
    const std::function<bool(const uint64_t*, uint64_t)>& matches)
{
    std::string text = head + ".visible .entry k( .param .u64 a0, .param .u64 a1, .param .u64 a2, .param .u64 y, .param .u32 n )\n{\n"
        ".reg .pred %p<40>; .reg .b16 %h<40>; .reg .b32 %r<40>; .reg .b64 %rd<60>; .reg .f32 %f<40>; .reg .f64 %d<40>;\n"
        "mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r3, %r0, %r1, %r2;\n"
        "ld.param.u32 %r4, [n]; setp.ge.u32 %p0, %r3, %r4; @%p0 bra DONE; cvt.u64.u32 %rd0, %r3; shl.b64 %rd1, %rd0, 3;\n";
    std::string list;
    for (size_t k = 0; k < sources.size(); k++)
    {
        std::string number = std::to_string(k);
        text += "ld.param.u64 %rd3, [a" + number + "]; cvta.to.global.u64 %rd4, %rd3; add.u64 %rd5, %rd4, %rd1; ld.global.v2.u32 {%r5, %r6}, [%rd5];\n"
            "cvt.u64.u32 %rd6, %r5; cvt.u64.u32 %rd7, %r6; shl.b64 %rd8, %rd7, 32; or.b64 %rd2" + number + ", %rd6, %rd8;\n" + sources[k].unpacked;
        list += ", " + sources[k].name;
    }
    text += name + " " + result + list + ";\n" + packed +
        "cvt.u32.u64 %r31, %rd30; shr.u64 %rd31, %rd30, 32; cvt.u32.u64 %r32, %rd31; ld.param.u64 %rd32, [y]; add.u64 %rd33, %rd32, %rd1; st.global.v2.u32 [%rd33], {%r31, %r32};\n"
        "DONE: ret;\n}\n";
    void* f = load(text, "k");
    if (!f) return;
    size_t count = x[0].size();
    Buffer<uint64_t> a(x[0]), b(x[1]), c(x[2]), y(count);
    CHECK(launch_function(f, {(unsigned)(count + 127) / 128}, {128}, 0, nullptr, a.address, b.address, c.address, y.address, (uint32_t)count) == 0);
    auto got = y.read();
    int bad = 0;
    for (size_t i = 0; i < count; i++)
    {
        uint64_t given[] = {x[0][i], x[1][i], x[2][i]};
        if (!matches(given, got[i]) && bad++ < 3)
            fprintf(stderr, "%s of %016llx %016llx %016llx gives %016llx\n", name.c_str(), (unsigned long long)given[0], (unsigned long long)given[1], (unsigned long long)given[2], (unsigned long long)got[i]);
    }
    check(bad == 0, name.c_str(), __FILE__, __LINE__);
}

template <typename D, typename... S, typename F> void instruction(const std::string& name, F expected)
{
    instructions_tested++;
    constexpr size_t count = 48 * 48;
    Numbers numbers(instructions_tested);
    std::vector<uint64_t> x[3];
    for (auto& v : x) v.assign(count, 0);
    for (size_t i = 0; i < count; i++)
    {
        int operand = 0;
        ((x[operand][i] = sample<S>(numbers, i, operand == 0 ? 1 : operand == 1 ? 48 : 7), operand++), ...);
    }
    std::vector<OperandText> sources;
    ((sources.push_back({unpack<S>((int)sources.size()), std::string(Kind<S>::reg) + "1" + std::to_string(sources.size())})), ...);
    std::string result = std::string(Kind<D>::reg) + "20";
    run_instruction(name, x, sources, result, pack<D>(result), [&](const uint64_t* given, uint64_t got) {
        auto next = [&] { return *given++; };
        std::tuple<S...> arguments{from_bits<S>(next())...};
        D want = std::apply(expected, arguments), have = from_bits<D>(got);
        return (have != have && want != want) || memcmp(&have, &want, sizeof(D)) == 0;
    });
}

template <typename T> using Unsigned = std::make_unsigned_t<T>;

template <typename T> void whole(const std::string& t)
{
    using U = Unsigned<T>;
    instruction<T, T, T>("add" + t, [](T a, T b) { return (T)((U)a + (U)b); });
    instruction<T, T, T>("sub" + t, [](T a, T b) { return (T)((U)a - (U)b); });
    instruction<T, T, T>("mul.lo" + t, [](T a, T b) { return (T)((U)a * (U)b); });
    instruction<T, T, T, T>("mad.lo" + t, [](T a, T b, T c) { return (T)((U)a * (U)b + (U)c); });
    auto least = std::numeric_limits<T>::min();
    instruction<T, T, T>("div" + t, [=](T a, T b) { return b == 0 ? (T)-1 : std::is_signed_v<T> && a == least && b == (T)-1 ? a : (T)(a / b); });
    instruction<T, T, T>("rem" + t, [=](T a, T b) { return b == 0 ? a : std::is_signed_v<T> && a == least && b == (T)-1 ? (T)0 : (T)(a % b); });
    instruction<T, T, T>("min" + t, [](T a, T b) { return std::min(a, b); });
    instruction<T, T, T>("max" + t, [](T a, T b) { return std::max(a, b); });
    instruction<T, T, uint32_t>("shr" + t, [](T a, uint32_t n) {
        for (uint32_t i = 0; i < std::min(n, 64u); i++) a = (T)(a >> 1);
        return a;
    });
    instruction<T, T, T, bool>("selp" + t, [](T a, T b, bool p) { return p ? a : b; });
    instruction<bool, T, T>("setp.eq" + t, [](T a, T b) { return a == b; });
    instruction<bool, T, T>("setp.ne" + t, [](T a, T b) { return a != b; });
    instruction<bool, T, T>("setp.lt" + t, [](T a, T b) { return a < b; });
    instruction<bool, T, T>("setp.le" + t, [](T a, T b) { return a <= b; });
    instruction<bool, T, T>("setp.gt" + t, [](T a, T b) { return a > b; });
    instruction<bool, T, T>("setp.ge" + t, [](T a, T b) { return a >= b; });
}

template <typename T> void floating(const std::string& t)
{
    // volatile: each operation is rounded by itself.
    instruction<T, T, T>("add.rn" + t, [](volatile T a, volatile T b) { volatile T r = a + b; return (T)r; });
    instruction<T, T, T>("sub.rn" + t, [](volatile T a, volatile T b) { volatile T r = a - b; return (T)r; });
    instruction<T, T, T>("mul.rn" + t, [](volatile T a, volatile T b) { volatile T r = a * b; return (T)r; });
    instruction<T, T, T>("div.rn" + t, [](volatile T a, volatile T b) { volatile T r = a / b; return (T)r; });
    instruction<T, T, T, T>("fma.rn" + t, [](T a, T b, T c) { return std::fma(a, b, c); });
    instruction<T, T>("sqrt.rn" + t, [](T a) { return std::sqrt(a); });
    instruction<T, T>("neg" + t, [](T a) { return -a; });
    instruction<T, T>("abs" + t, [](T a) { return std::fabs(a); });
    instruction<T, T, T, bool>("selp" + t, [](T a, T b, bool p) { return p ? a : b; });
    auto number = [](T a, T b) { return !std::isnan(a) && !std::isnan(b); };
    instruction<bool, T, T>("setp.eq" + t, [=](T a, T b) { return number(a, b) && a == b; });
    instruction<bool, T, T>("setp.ne" + t, [=](T a, T b) { return number(a, b) && a != b; });
    instruction<bool, T, T>("setp.lt" + t, [=](T a, T b) { return number(a, b) && a < b; });
    instruction<bool, T, T>("setp.le" + t, [=](T a, T b) { return number(a, b) && a <= b; });
    instruction<bool, T, T>("setp.gt" + t, [=](T a, T b) { return number(a, b) && a > b; });
    instruction<bool, T, T>("setp.ge" + t, [=](T a, T b) { return number(a, b) && a >= b; });
    instruction<bool, T, T>("setp.equ" + t, [=](T a, T b) { return !number(a, b) || a == b; });
    instruction<bool, T, T>("setp.neu" + t, [=](T a, T b) { return !number(a, b) || a != b; });
    instruction<bool, T, T>("setp.ltu" + t, [=](T a, T b) { return !number(a, b) || a < b; });
    instruction<bool, T, T>("setp.leu" + t, [=](T a, T b) { return !number(a, b) || a <= b; });
    instruction<bool, T, T>("setp.gtu" + t, [=](T a, T b) { return !number(a, b) || a > b; });
    instruction<bool, T, T>("setp.geu" + t, [=](T a, T b) { return !number(a, b) || a >= b; });
    instruction<bool, T, T>("setp.num" + t, [=](T a, T b) { return number(a, b); });
    instruction<bool, T, T>("setp.nan" + t, [=](T a, T b) { return !number(a, b); });
}

template <typename T> void logic(const std::string& t)
{
    instruction<T, T, T>("and" + t, [](T a, T b) { return (T)(a & b); });
    instruction<T, T, T>("or" + t, [](T a, T b) { return (T)(a | b); });
    instruction<T, T, T>("xor" + t, [](T a, T b) { return (T)(a ^ b); });
    if constexpr (std::is_same_v<T, bool>) instruction<T, T>("not" + t, [](T a) { return !a; });
    else instruction<T, T>("not" + t, [](T a) { return (T)~a; });
}

static void instructions()
{
    using i32 = int32_t;
    using u32 = uint32_t;
    using i64 = int64_t;
    using u64 = uint64_t;
    whole<i32>(".s32"), whole<u32>(".u32"), whole<i64>(".s64"), whole<u64>(".u64");
    floating<float>(".f32"), floating<double>(".f64");
    logic<u32>(".b32"), logic<u64>(".b64"), logic<uint16_t>(".b16"), logic<bool>(".pred");
    instruction<i64, i32, i32>("mul.wide.s32", [](i32 a, i32 b) { return (i64)a * b; });
    instruction<u64, u32, u32>("mul.wide.u32", [](u32 a, u32 b) { return (u64)a * b; });
    instruction<i64, i32, i32, i64>("mad.wide.s32", [](i32 a, i32 b, i64 c) { return (i64)((u64)((i64)a * b) + (u64)c); });
    instruction<u64, u32, u32, u64>("mad.wide.u32", [](u32 a, u32 b, u64 c) { return (u64)a * b + c; });
    instruction<i32, i32, i32>("mul.hi.s32", [](i32 a, i32 b) { return (i32)((i64)a * b >> 32); });
    instruction<u32, u32, u32>("mul.hi.u32", [](u32 a, u32 b) { return (u32)((u64)a * b >> 32); });
    instruction<i32, i32>("neg.s32", [](i32 a) { return (i32)(0u - (u32)a); });
    instruction<i32, i32>("abs.s32", [](i32 a) { return a < 0 ? (i32)(0u - (u32)a) : a; });
    instruction<u32, u32, u32>("shl.b32", [](u32 a, u32 n) { return n > 31 ? 0 : a << n; });
    instruction<u64, u64, u32>("shl.b64", [](u64 a, u32 n) { return n > 63 ? 0 : a << n; });
    instruction<bool, u32, u32>("setp.eq.b32", [](u32 a, u32 b) { return a == b; });
    instruction<bool, u32, u32>("setp.ne.b32", [](u32 a, u32 b) { return a != b; });
    instruction<u32, u32, u32, bool>("selp.b32", [](u32 a, u32 b, bool p) { return p ? a : b; });
    instruction<u64, u64, u64, bool>("selp.b64", [](u64 a, u64 b, bool p) { return p ? a : b; });
    instruction<u32, u32>("mov.u32", [](u32 a) { return a; });
    instruction<u32, u32>("mov.s32", [](u32 a) { return a; });
    instruction<u32, float>("mov.b32", [](float a) { u32 r; memcpy(&r, &a, 4); return r; });
    instruction<float, u32>("mov.b32", [](u32 a) { return from_bits<float>(a); });
    instruction<float, float>("mov.f32", [](float a) { return a; });
    instruction<u64, u64>("mov.u64", [](u64 a) { return a; });
    instruction<u64, u64>("mov.s64", [](u64 a) { return a; });
    instruction<double, u64>("mov.b64", [](u64 a) { return from_bits<double>(a); });
    instruction<double, double>("mov.f64", [](double a) { return a; });
    instruction<bool, bool>("mov.pred", [](bool a) { return a; });
    instruction<uint16_t, uint16_t>("mov.b16", [](uint16_t a) { return a; });
    instruction<u64, u64>("cvta.to.global.u64", [](u64 a) { return a; });
    instruction<float, i32>("cvt.rn.f32.s32", [](i32 a) { return (float)a; });
    instruction<float, u32>("cvt.rn.f32.u32", [](u32 a) { return (float)a; });
    instruction<float, double>("cvt.rn.f32.f64", [](double a) { return (float)a; });
    instruction<double, float>("cvt.f64.f32", [](float a) { return (double)a; });
    instruction<double, i32>("cvt.rn.f64.s32", [](i32 a) { return (double)a; });
    instruction<double, u32>("cvt.rn.f64.u32", [](u32 a) { return (double)a; });
    instruction<i32, float>("cvt.rzi.s32.f32", [](float a) { return std::isnan(a) ? 0 : a >= 2147483648.0f ? INT_MAX : a < -2147483648.0f ? INT_MIN : (i32)a; });
    instruction<float, float>("cvt.rni.f32.f32", [](float a) { return std::nearbyint(a); });
    instruction<float, float>("cvt.rmi.f32.f32", [](float a) { return std::floor(a); });
    instruction<float, float>("cvt.rpi.f32.f32", [](float a) { return std::ceil(a); });
    instruction<float, float>("cvt.rzi.f32.f32", [](float a) { return std::trunc(a); });
    instruction<u64, u32>("cvt.u64.u32", [](u32 a) { return (u64)a; });
    instruction<u64, i32>("cvt.u64.s32", [](i32 a) { return (u64)(i64)a; });
    instruction<i64, u32>("cvt.s64.u32", [](u32 a) { return (i64)a; });
    instruction<i64, i32>("cvt.s64.s32", [](i32 a) { return (i64)a; });
    instruction<u32, u64>("cvt.u32.u64", [](u64 a) { return (u32)a; });
    instruction<u32, i64>("cvt.u32.s64", [](i64 a) { return (u32)a; });
    instruction<i32, u64>("cvt.s32.u64", [](u64 a) { return (i32)a; });
    instruction<i32, i64>("cvt.s32.s64", [](i64 a) { return (i32)a; });
    instruction<u32, uint16_t>("cvt.u32.u8", [](uint16_t a) { return (u32)(a & 255); });
    instruction<i32, uint16_t>("cvt.s32.u8", [](uint16_t a) { return (i32)(a & 255); });
    instruction<uint16_t, uint16_t>("cvt.u16.u8", [](uint16_t a) { return (uint16_t)(a & 255); });
    instruction<u32, uint16_t>("cvt.u32.u16", [](uint16_t a) { return (u32)a; });
    instruction<i32, uint16_t>("cvt.s32.u16", [](uint16_t a) { return (i32)a; });
    instruction<uint16_t, uint16_t>("cvt.u16.u16", [](uint16_t a) { return a; });
    instruction<uint16_t, u32>("cvt.u16.u32", [](u32 a) { return (uint16_t)a; });
    instruction<uint16_t, u32>("cvt.u8.u32", [](u32 a) { return (uint16_t)(a & 255); });
    printf("ptx: %d instructions\n", instructions_tested);
}

// ---- Memory and control

static std::string kernel(const std::string& parameters, const std::string& body)
{
    return head + ".visible .entry k(" + parameters + ")\n{\n.reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<20>; .reg .b64 %rd<20>; .reg .f32 %f<20>; .reg .f64 %d<9>;\n" + body + "\n}\n";
}

static const std::string index_text = "mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.s32 %r3, %r0, %r1, %r2;\n";

static void memory()
{
    // Elements of 1, 2 and 4 bytes, one, two and four at a time; whole blocks, the rest of one, scattered and equal addresses.
    for (int bytes : {1, 2, 4})
        for (int count : {1, 2, 4})
            for (int stride : {1, 3, 0})
            {
                std::string type = bytes == 1 ? "u8" : bytes == 2 ? "u16" : "u32", vector = count == 1 ? "" : count == 2 ? ".v2" : ".v4";
                std::string data = count == 1 ? "%r10" : count == 2 ? "{%r10, %r11}" : "{%r10, %r11, %r12, %r13}";
                std::string text = kernel(".param .u64 x, .param .u64 y, .param .s32 n", index_text +
                    "ld.param.s32 %r4, [n]; setp.ge.s32 %p0, %r3, %r4; @%p0 bra END; ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];\n"
                    "mul.lo.s32 %r5, %r3, " + std::to_string(stride) + "; mad.wide.s32 %rd2, %r5, " + std::to_string(bytes * count) + ", %rd0;\n"
                    "mad.wide.s32 %rd3, %r3, " + std::to_string(bytes * count) + ", %rd1;\n"
                    "ld.global.nc" + vector + "." + type + " " + data + ", [%rd2+" + std::to_string(bytes * count) + "];\n"
                    "st.global" + vector + "." + type + " [%rd3], " + data + ";\nEND: ret;");
                void* f = load(text, "k");
                int n = 1000;
                std::vector<unsigned char> x((size_t)bytes * count * (n * 3 + 4));
                Numbers numbers(77);
                for (auto& v : x) v = (unsigned char)numbers.word();
                Buffer<unsigned char> from(x), to((size_t)bytes * count * n);
                CHECK(launch_function(f, {4}, {256}, 0, nullptr, from.address, to.address, n) == 0);
                auto y = to.read();
                bool good = true;
                for (int i = 0; i < n; i++) good &= memcmp(&y[(size_t)i * bytes * count], &x[((size_t)i * stride + 1) * bytes * count], bytes * count) == 0;
                CHECK(good);
            }
    std::string text = kernel(".param .u64 x, .param .u64 y, .param .s32 n", index_text + "ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];\n"
        "mul.wide.s32 %rd2, %r3, 4; add.s64 %rd3, %rd0, %rd2; add.s64 %rd4, %rd1, %rd2; ld.global.f32 %f0, [%rd3]; add.rn.f32 %f1, %f0, 0f3F800000; st.global.f32 [%rd4], %f1; ret;");
    void* f = load(text, "k");
    std::vector<float> x(300);
    for (int i = 0; i < 300; i++) x[i] = (float)i;
    Buffer<float> from(x), to(300);
    CHECK(launch_function(f, {3}, {100}, 0, nullptr, from.address, to.address, 0) == 0);
    CHECK(to.read()[299] == 300.0f);
    // Operands that are annotated: exactly so many bytes.
    standin_annotate(from.address, 1200), standin_annotate(to.address, 1200);
    CHECK(launch_function(f, {3}, {100}, 0, nullptr, from.address, to.address, 0) == 0);
    CHECK(to.read()[299] == 300.0f);
    auto fails = [&](uint64_t a, uint64_t b, unsigned blocks, int code, uint64_t annotated) {
        void* again = load(text, "k");
        if (annotated) standin_annotate(a, annotated), standin_annotate(b, annotated);
        CHECK(launch_function(again, {blocks}, {100}, 0, nullptr, a, b, 0) == code);
        CHECK(cuCtxSynchronize() == code);
        renew();
    };
    {
        Buffer<float> a(x), b(300);
        fails(a.address, b.address, 3, 700, 1196);
    }
    for (int kind = 0; kind < 3; kind++)
    {
        Buffer<float> a(x), b(300);
        fails(a.address + (kind == 0 ? 4 : kind == 1 ? 2 : 0), b.address + (kind == 2 ? -4 : 0), 3, kind == 1 ? 716 : 700, 0);
    }
}

static void control()
{
    // Collatz steps: every thread leaves its loop at another time, with a branch inside.
    std::string text = kernel(".param .u64 y, .param .u32 n",
        index_text + "ld.param.u32 %r4, [n]; setp.ge.u32 %p0, %r3, %r4; @%p0 ret;\n"
        "ld.param.u64 %rd0, [y]; mad.wide.u32 %rd1, %r3, 4, %rd0; add.u32 %r5, %r3, 1; mov.u32 %r6, 0;\n"
        "LOOP: setp.eq.u32 %p1, %r5, 1; @%p1 bra DONE; and.b32 %r7, %r5, 1; setp.ne.u32 %p2, %r7, 0; @!%p2 bra EVEN;\n"
        "mad.lo.u32 %r5, %r5, 3, 1; bra NEXT;\n"
        "EVEN: shr.u32 %r5, %r5, 1;\n"
        "NEXT: add.u32 %r6, %r6, 1; bra.uni LOOP;\n"
        "DONE: st.global.u32 [%rd1], %r6; ret;");
    void* f = load(text, "k");
    uint32_t n = 3000;
    auto run = [&](unsigned threads) {
        Buffer<uint32_t> y(n);
        CHECK(launch_function(f, {(n + threads - 1) / threads}, {threads}, 0, nullptr, y.address, n) == 0);
        auto r = y.read();
        int bad = 0;
        for (uint32_t i = 0; i < n; i++)
        {
            uint32_t v = i + 1, steps = 0;
            for (; v != 1; steps++) v = v & 1 ? 3 * v + 1 : v / 2;
            bad += r[i] != steps;
        }
        CHECK(bad == 0);
    };
    with_seeds([&] { run(256), run(77), run(1024), run(1), run(500); });
    // Guards: values are kept where they are false, also across 64 bits, and memory is not touched.
    text = kernel(".param .u64 y, .param .u32 n", index_text +
        "ld.param.u64 %rd0, [y]; mad.wide.u32 %rd1, %r3, 16, %rd0; and.b32 %r4, %r3, 3; setp.eq.u32 %p0, %r4, 0; setp.lt.u32 %p1, %r4, 2;\n"
        "mov.u32 %r5, 7; @%p0 mov.u32 %r5, 9; mov.u64 %rd2, 1; @!%p1 add.u64 %rd2, %rd2, 0x100000000; shr.u64 %rd3, %rd2, 32; cvt.u32.u64 %r6, %rd3;\n"
        "mov.u32 %r7, 0; mov.u64 %rd5, 4; @%p0 bra SKIP; @%p1 mov.u64 %rd1, %rd1; ld.param.u32 %r8, [n]; @%p1 add.u32 %r7, %r8, %r4;\n"
        "SKIP: @!%p0 st.global.u32 [%rd1], %r5; st.global.u32 [%rd1+4], %r6; @%p1 st.global.u32 [%rd1+8], %r7; mov.u32 %r9, %r3; @%p0 ld.global.u32 %r9, [%rd1+4]; st.global.u32 [%rd1+12], %r9; ret;");
    f = load(text, "k");
    Buffer<uint32_t> y(4 * 512);
    CHECK(cuMemsetD32Async(y.address, 1234, y.count, nullptr) == 0);
    CHECK(launch_function(f, {2}, {256}, 0, nullptr, y.address, 50u) == 0);
    auto r = y.read();
    bool good = true;
    for (uint32_t i = 0; i < 512; i++)
    {
        uint32_t k = i & 3;
        good &= r[4 * i] == (k == 0 ? 1234u : 7u) && r[4 * i + 1] == (k >= 2) && r[4 * i + 2] == (k == 0 ? 0u : k == 1 ? 51u : 1234u) && r[4 * i + 3] == (k == 0 ? 0u : i);
    }
    CHECK(good);
    // Indexes of all axes.
    text = kernel(".param .u64 y", "mov.u32 %r0, %tid.x; mov.u32 %r1, %tid.y; mov.u32 %r2, %tid.z; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y; mov.u32 %r5, %ctaid.x; mov.u32 %r6, %ctaid.y;\n"
        "mov.u32 %r7, %ctaid.z; mov.u32 %r8, %nctaid.x; mov.u32 %r9, %nctaid.y; mov.u32 %r10, %ntid.z; mad.lo.u32 %r11, %r2, %r4, %r1; mad.lo.u32 %r11, %r11, %r3, %r0;\n"
        "mad.lo.u32 %r12, %r7, %r9, %r6; mad.lo.u32 %r12, %r12, %r8, %r5; mul.lo.u32 %r13, %r3, %r4; mul.lo.u32 %r13, %r13, %r10; mad.lo.u32 %r14, %r12, %r13, %r11;\n"
        "ld.param.u64 %rd0, [y]; mad.wide.u32 %rd1, %r14, 4, %rd0; st.global.u32 [%rd1], %r14; ret;");
    f = load(text, "k");
    Buffer<uint32_t> all(3 * 4 * 5 * 20 * 6 * 5);
    CHECK(launch_function(f, {3, 4, 5}, {20, 6, 5}, 0, nullptr, all.address) == 0);
    r = all.read();
    good = true;
    for (size_t i = 0; i < r.size(); i++) good &= r[i] == i;
    CHECK(good);
}

// ---- What crosses threads

static void shuffles()
{
    // By every lane mask, of numbers and of floats, into another register and into the source itself; blocks of several sizes and shapes.
    std::string body = "mov.u32 %r0, %tid.x; mov.u32 %r1, %tid.y; mov.u32 %r2, %tid.z; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y; mov.u32 %r5, %ntid.z;\n"
        "mad.lo.u32 %r6, %r2, %r4, %r1; mad.lo.u32 %r6, %r6, %r3, %r0; mul.lo.u32 %r7, %r3, %r4; mul.lo.u32 %r7, %r7, %r5; mov.u32 %r8, %ctaid.x; mad.lo.u32 %r9, %r8, %r7, %r6;\n"
        "ld.param.u64 %rd0, [x]; mad.wide.u32 %rd1, %r9, 4, %rd0; ld.global.u32 %r10, [%rd1]; mov.b32 %f0, %r10; ld.param.u64 %rd2, [y]; mad.wide.u32 %rd3, %r9, 396, %rd2;\n"
        "mov.u32 %r11, %laneid; st.global.u32 [%rd3+384], %r11;\n";
    for (int lanes = 0; lanes < 32; lanes++)
    {
        std::string by = ", " + std::to_string(lanes) + ", 0x1f, 0xffffffff; ";
        auto store = [&](int k, const std::string& value) { return "st.global.b32 [%rd3+" + std::to_string(12 * lanes + 4 * k) + "], " + value + ";\n"; };
        body += "shfl.sync.bfly.b32 %r12, %r10" + by + store(0, "%r12") + "shfl.sync.bfly.b32 %f1, %f0" + by + store(1, "%f1") + "mov.u32 %r13, %r10; shfl.sync.bfly.b32 %r13, %r13" + by + store(2, "%r13");
    }
    void* f = load(kernel(".param .u64 x, .param .u64 y", body + "ret;"), "k");
    for (Size block : {Size{32}, Size{256}, Size{8, 4, 3}, Size{1024}, Size{352}})
    {
        size_t threads = 3 * block.x * block.y * block.z;
        std::vector<uint32_t> x(threads);
        Numbers numbers(threads);
        for (auto& v : x) v = numbers.word();
        Buffer<uint32_t> from(x), to(threads * 99);
        CHECK(launch_function(f, {3}, block, 0, nullptr, from.address, to.address) == 0);
        auto y = to.read();
        bool good = true;
        for (size_t i = 0; i < threads; i++)
        {
            for (size_t lanes = 0; lanes < 32; lanes++)
                for (size_t k = 0; k < 3; k++) good &= y[99 * i + 3 * lanes + k] == x[i ^ lanes];
            good &= y[99 * i + 96] == i % 32;
        }
        CHECK(good);
    }
    // Whole warps that a guard leaves out, that have gone another way, and that have ended; threads that meet again before it.
    std::string text = kernel(".param .u64 y, .param .u32 n", index_text + "ld.param.u64 %rd0, [y]; mad.wide.u32 %rd1, %r3, 4, %rd0; and.b32 %r4, %r2, 32; setp.ne.u32 %p0, %r4, 0; and.b32 %r5, %r2, 1; setp.ne.u32 %p1, %r5, 0;\n"
        "mov.u32 %r6, %r2; setp.ge.u32 %p2, %r2, 224; @%p2 ret; @%p0 shfl.sync.bfly.b32 %r6, %r6, 1, 0x1f, 0xffffffff;\n"
        "@%p1 bra ODD; add.u32 %r6, %r6, 1000; bra JOIN;\nODD: add.u32 %r6, %r6, 2000;\nJOIN: shfl.sync.bfly.b32 %r6, %r6, 16, 0x1f, 0xffffffff;\n"
        "@!%p0 bra EVEN; shfl.sync.bfly.b32 %r6, %r6, 3, 0x1f, 0xffffffff; bra END;\nEVEN: add.u32 %r6, %r6, 5000; shfl.sync.bfly.b32 %r6, %r6, 8, 0x1f, 0xffffffff;\nEND: st.global.u32 [%rd1], %r6; ret;");
    f = load(text, "k");
    Buffer<uint32_t> to(512);
    CHECK(launch_function(f, {2}, {256}, 0, nullptr, to.address, 0u) == 0);
    auto y = to.read();
    bool good = true;
    for (uint32_t i = 0; i < 512; i++)
    {
        uint32_t t = i % 256;
        bool odd_warp = t & 32;
        auto first = [&](uint32_t u) { return (u ^ (odd_warp ? 1 : 0)) + (u & 1 ? 2000 : 1000); };
        uint32_t want = t >= 224 ? 0 : odd_warp ? first(t ^ 3 ^ 16) : first(t ^ 8 ^ 16) + 5000;
        good &= y[i] == want;
    }
    CHECK(good);
}

static const std::string shared_text = ".shared .align 4 .b32 s[256]; .shared .align 4 .b32 few[3];\n" + index_text + "ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y]; mad.wide.u32 %rd2, %r3, 4, %rd0; mad.wide.u32 %rd3, %r3, 4, %rd1;\n"
    "mov.u32 %r4, s; mad.lo.u32 %r5, %r2, 4, %r4;\n";

static void shared_memory()
{
    // Values turned around in a block, through every kind of address and type; what nobody wrote is NaN in every block.
    std::string text = kernel(".param .u64 x, .param .u64 y", shared_text +
        "ld.shared.f32 %f0, [%r5]; setp.nan.f32 %p0, %f0, %f0; ld.global.u32 %r6, [%rd2]; st.shared.u32 [%r5], %r6; setp.eq.u32 %p1, %r2, 0; @%p1 st.shared.b32 [few+8], 77; bar.sync 0;\n"
        "mov.u32 %r7, %ntid.x; sub.u32 %r7, %r7, 1; sub.u32 %r7, %r7, %r2; mad.lo.u32 %r8, %r7, 4, %r4; sub.u32 %r8, %r8, 1024; ld.shared.b32 %r9, [%r8+1024]; ld.shared.f32 %f1, [few]; setp.nan.f32 %p2, %f1, %f1; and.pred %p0, %p0, %p2;\n"
        "mov.u32 %r10, few; ld.shared.u32 %r11, [%r10+8]; ld.shared.u32 %r12, [s]; ld.shared.u32 %r13, [s+4]; bar.sync 0; mov.b32 %f2, %r9; st.shared.f32 [%r5], %f2; ld.shared.f32 %f3, [%r5]; mov.b32 %r14, %f3;\n"
        "add.u32 %r15, %r14, %r11; add.u32 %r15, %r15, %r12; add.u32 %r15, %r15, %r13; selp.u32 %r16, %r15, 0, %p0; st.global.u32 [%rd3], %r16; ret;");
    void* f = load(text, "k");
    for (unsigned threads : {256u, 33u, 2u})
    {
        unsigned blocks = 40;
        std::vector<uint32_t> x(blocks * threads);
        Numbers numbers(threads);
        for (auto& v : x) v = numbers.word();
        Buffer<uint32_t> from(x), to(x.size());
        with_seeds([&] {
            CHECK(launch_function(f, {blocks}, {threads}, 0, nullptr, from.address, to.address) == 0);
            auto y = to.read();
            bool good = true;
            for (uint32_t i = 0; i < x.size(); i++)
            {
                uint32_t block = i / threads * threads;
                good &= y[i] == x[block + threads - 1 - i % threads] + 77 + x[block] + x[block + 1];
            }
            CHECK(good);
        });
    }
    // Sums of blocks as the rows' kernels make them: butterflies in warps, a word a warp, one barrier, all words.
    text = kernel(".param .u64 x, .param .u64 y", shared_text + "ld.global.f32 %f0, [%rd2];\n"
        "shfl.sync.bfly.b32 %f1, %f0, 16, 0x1f, 0xffffffff; add.rn.f32 %f0, %f0, %f1; shfl.sync.bfly.b32 %f1, %f0, 8, 0x1f, 0xffffffff; add.rn.f32 %f0, %f0, %f1; shfl.sync.bfly.b32 %f1, %f0, 4, 0x1f, 0xffffffff; add.rn.f32 %f0, %f0, %f1;\n"
        "shfl.sync.bfly.b32 %f1, %f0, 2, 0x1f, 0xffffffff; add.rn.f32 %f0, %f0, %f1; shfl.sync.bfly.b32 %f1, %f0, 1, 0x1f, 0xffffffff; add.rn.f32 %f0, %f0, %f1; mov.u32 %r6, %laneid; setp.eq.u32 %p0, %r6, 0;\n"
        "shr.u32 %r7, %r2, 5; mad.lo.u32 %r8, %r7, 4, %r4; @%p0 st.shared.f32 [%r8], %f0; bar.sync 0; mov.u32 %r9, 0; mov.f32 %f2, 0f00000000; mov.u32 %r10, %ntid.x; shr.u32 %r10, %r10, 5;\n"
        "LOOP: mad.lo.u32 %r11, %r9, 4, %r4; ld.shared.f32 %f3, [%r11]; add.rn.f32 %f2, %f2, %f3; add.u32 %r9, %r9, 1; setp.lt.u32 %p1, %r9, %r10; @%p1 bra LOOP;\nst.global.f32 [%rd3], %f2; ret;");
    f = load(text, "k");
    std::vector<float> x(5 * 192);
    Numbers numbers(9);
    for (auto& v : x) v = numbers.unit();
    Buffer<float> from(x), to(x.size());
    CHECK(launch_function(f, {5}, {192}, 0, nullptr, from.address, to.address) == 0);
    auto y = to.read();
    bool good = true;
    for (size_t block = 0; block < 5; block++)
    {
        float sum = 0;
        for (size_t warp = 0; warp < 6; warp++)
        {
            float lane[32], other[32];
            memcpy(lane, &x[192 * block + 32 * warp], sizeof lane);
            for (int step = 16; step; step /= 2)
            {
                memcpy(other, lane, sizeof other);
                for (int i = 0; i < 32; i++) lane[i] = other[i] + other[i ^ step];
            }
            sum += lane[0];
        }
        for (size_t i = 0; i < 192; i++) good &= same(y[192 * block + i], sum);
    }
    CHECK(good);
}

// Launches that fail, and the sticky error that they leave.
static void crossing_errors()
{
    const std::string shuffle = "shfl.sync.bfly.b32 %r6, %r2, 1, 0x1f, 0xffffffff;", odd = "and.b32 %r7, %r2, 1; setp.ne.u32 %p0, %r7, 0; setp.lt.u32 %p1, %r2, 32; setp.eq.u32 %p2, %r2, 5; mov.u32 %r8, 0; mov.f32 %f0, 0f3F800000;\n";
    struct { std::string body; unsigned threads; int code; } cases[] = {
        {shuffle, 64, 0}, {shuffle, 40, 719}, {shuffle, 16, 719}, {"@%p0 " + shuffle, 64, 719}, {"@%p1 " + shuffle, 64, 0}, {"@%p2 ret; " + shuffle, 64, 719}, {"@%p0 bra L; " + shuffle + " L: mov.u32 %r9, 1;", 64, 719},
        {"@%p1 bra L; " + shuffle + " L: mov.u32 %r9, 1;", 64, 0}, {"@%p0 bra L; mov.u32 %r9, 1; bra M; L: " + shuffle + " M: mov.u32 %r9, 1;", 64, 719},
        {"bar.sync 0;", 256, 0}, {"bar.sync 0;", 257, 719}, {"bar.sync 0;", 40, 0}, {"@%p2 ret; bar.sync 0;", 64, 719}, {"@%p1 bar.sync 0;", 64, 719}, {"@%p1 bar.sync 0;", 32, 0}, {"@%p0 bra L; bar.sync 0; L: mov.u32 %r9, 1;", 64, 719},
        {"@%p0 bra L; bar.sync 0; bra M; L: bar.sync 0; M: mov.u32 %r9, 1;", 64, 719}, {"@%p0 bra L; mov.u32 %r9, 1; L: bar.sync 0;", 64, 0},
        {"st.shared.u32 [%r5], %r2;", 256, 0}, {"st.shared.u32 [%r5+4], %r2;", 256, 700}, {"st.shared.u32 [%r5+-4], %r2;", 256, 700}, {"ld.shared.f32 %f1, [%r8];", 32, 700}, {"ld.shared.f32 %f1, [few+8];", 32, 0},
        {"ld.shared.f32 %f1, [few+12];", 32, 700}, {"ld.shared.f32 %f1, [s+1024];", 32, 700}, {"ld.shared.f32 %f1, [%r5+2];", 32, 716}, {"st.shared.f32 [few+1], %f0;", 32, 716}, {"@!%p2 bra L; mov.u32 %r5, 4294967292; L: ld.shared.u32 %r6, [%r5];", 32, 700},
        {"st.shared.u32 [%r5], %r2; ld.shared.u32 %r6, [%r5];", 64, 0}, {"st.shared.u32 [%r5], %r2; ld.shared.u32 %r6, [s];", 64, 719}, {"st.shared.u32 [%r5], %r2; bar.sync 0; ld.shared.u32 %r6, [s];", 64, 0},
        {"ld.shared.u32 %r6, [s]; st.shared.u32 [%r5], %r2;", 64, 719}, {"ld.shared.u32 %r6, [s]; bar.sync 0; st.shared.u32 [%r5], %r2;", 64, 0}, {"st.shared.u32 [s], %r2;", 64, 719}, {"st.shared.u32 [s], %r8;", 64, 0},
        {"st.shared.u32 [s], %r8; ld.shared.u32 %r6, [s];", 64, 719}, {"st.shared.u32 [%r5], %r2; ld.shared.u32 %r6, [s];", 1, 0},
    };
    for (auto& c : cases)
    {
        void* f = load(kernel(".param .u64 x, .param .u64 y", shared_text + odd + c.body + "\nret;"), "k");
        int code = launch_function(f, {2}, {c.threads}, 0, nullptr, (uint64_t)0, (uint64_t)0);
        if (code != c.code) fprintf(stderr, "%s with %u threads: %d\n", c.body.c_str(), c.threads, code);
        CHECK(code == c.code && cuCtxSynchronize() == c.code);
        if (code) renew();
    }
    // All of shared memory, and with dynamic shared memory more than there is.
    void* f = load(kernel(".param .u64 x", ".shared .align 4 .b32 s[12288]; st.shared.b32 [s+49148], 1; ret;"), "k");
    CHECK(launch_function(f, {1}, {1}, 0, nullptr, (uint64_t)0) == 0 && launch_function(f, {1}, {1}, 16, nullptr, (uint64_t)0) == 1);
}

static void refusals()
{
    struct { const char* body; int line; } cases[] = {
        {"ret; }\n.visible .entry k2() { bar.sync 0; ret;", 8}, {"add.f32 %f0, %f1, %f2; ret;", 7}, {"\n\nmov.u32 %r0, 1; ex2.approx.f32 %f0, %f1; ret;", 9},
        {"mov.u32 %f0, 1; ret;", 7}, {"mov.f32 %f0, 1; ret;", 7}, {"mov.u32 %r0, %r1; ret;", 7}, {"bra NOWHERE;", 7}, {"mov.u32 %r0, 1;", 7}, {"mov.u32 %r0, 1; @%p0 ret;", 7},
        {"mov.u32 %r0, 4294967296; ret;", 7}, {"add.s32 %r0, %tid.x, 1; ret;", 7}, {"mov.u64 %rd0, 0; ld.global.u64 %rd1, [%rd0]; ret;", 7}, {"mov.u32 %r0, 1; ld.global.u32 %r1, [%r0]; ret;", 7},
        {"ld.param.u32 %r0, [missing]; ret;", 7}, {"ld.param.f32 %f0, [n]; ret;", 7}, {"mov.u32 %r99, 1; ret;", 7}, {".reg .b32 %r1; ret;", 7}, {".shared .b32 s; ret;", 7}, {"mov.f32 %f0, 0f3F8; ret;", 7},
        {"mov.u32 %r1, 0;\nshfl.sync.bfly.b32 %r0, %r1, 32, 0x1f, 0xffffffff; ret;", 8}, {"mov.u32 %r1, 0;\nshfl.sync.bfly.b32 %r0, %r1, %r1, 0x1f, 0xffffffff; ret;", 8},
        {"mov.u32 %r1, 0;\nshfl.sync.bfly.b32 %r0, %r1, 1, 0x1e, 0xffffffff; ret;", 8}, {"mov.u32 %r1, 0;\nshfl.sync.bfly.b32 %r0, %r1, 1, 0x1f, 0xffff; ret;", 8}, {"mov.u32 %r1, 0;\nshfl.sync.bfly.b32 %r0|%p0, %r1, 1, 0x1f, 0xffffffff; ret;", 8},
        {"mov.u32 %r1, 0;\nshfl.sync.down.b32 %r0, %r1, 1, 0x1f, 0xffffffff; ret;", 8}, {"mov.u32 %r1, 0;\nshfl.sync.bfly.b32 %rd0, %r1, 1, 0x1f, 0xffffffff; ret;", 8}, {"mov.u32 %r1, 0;\nshfl.bfly.b32 %r0, %r1, 1, 0x1f; ret;", 8},
        {"shfl.sync.bfly.b32 %r0, 5, 1, 0x1f, 0xffffffff; ret;", 7}, {"shfl.sync.bfly.b32 %r0, %r1, 1, 0x1f, 0xffffffff; ret;", 7}, {"bar.sync 1; ret;", 7}, {"bar.sync 0, 32; ret;", 7}, {"bar.sync; ret;", 7}, {"\nbarrier.sync 0; ret;", 8},
        {".shared .align 4 .f32 s[4]; ret;", 7}, {".shared .align 16 .b32 s[4]; ret;", 7}, {".shared .align 4 .b32 s; ret;", 7}, {".shared .align 4 .b32 s[0]; ret;", 7}, {".shared .align 4 .b32 s[12289]; ret;", 7},
        {".shared .align 4 .b32 s[12288];\n.shared .align 4 .b32 t[1]; ret;", 8}, {".shared .align 4 .b32 s[4];\n.shared .align 4 .b32 s[4]; ret;", 8}, {".shared .align 4 .b32 n[4]; ret;", 7}, {".shared .align 4 .b32 s[4];\ns: ret;", 8}, {"s:\n.shared .align 4 .b32 s[4]; ret;", 8},
        {".shared .align 4 .b32 s[4];\nmov.b32 %r0, s; ret;", 8}, {".shared .align 4 .b32 s[4];\nmov.u64 %rd0, s; ret;", 8}, {".shared .align 4 .b32 s[4];\nadd.u32 %r0, s, 4; ret;", 8}, {"mov.u32 %r0, s;\n.shared .align 4 .b32 s[4]; ret;", 7},
        {".shared .align 4 .b32 s[4];\nld.shared.u16 %r0, [s]; ret;", 8}, {".shared .align 4 .b32 s[4];\nld.shared.s32 %r0, [s]; ret;", 8}, {".shared .align 4 .b32 s[4];\nld.shared.v2.u32 {%r0, %r1}, [s]; ret;", 8}, {".shared .align 4 .b32 s[4];\nld.shared.u32 %f0, [s]; ret;", 8},
        {"mov.u64 %rd0, 0;\nld.shared.u32 %r0, [%rd0]; ret;", 8}, {"ld.shared.u32 %r0, [s]; ret;", 7}, {".shared .align 4 .b32 s[4];\nld.global.u32 %r0, [s]; ret;", 8}, {"\nld.shared.u32 %r0, [n]; ret;", 8}, {"mov.b32 %r0, %laneid; ret;", 7}, {"mov.u32 %r0, %warpid; ret;", 7},
        {"mov.u32 %r0, 1 ret;", 7}, {"mov.u32 %r0; ret;", 7}, {"@%r0 ret;", 7}, {"L: ret; L: ret;", 7}, {"setp.lt.b32 %p0, 1, 2; ret;", 7}, {"cvt.f32.s32 %f0, 1; ret;", 7}, {"min.f32 %f0, 0f00000000, 0f00000000; ret;", 7},
    };
    for (auto& c : cases)
    {
        std::string text = kernel(".param .u32 n", c.body);
        void* module;
        char log[512] = "";
        int options[] = {6, 5};
        void* values[] = {reinterpret_cast<void*>(sizeof log), log};
        int status = cuModuleLoadDataEx(&module, text.c_str(), 2, options, values), line = 0;
        sscanf(log, "PTX, line %d", &line);
        if (status != 218 || line != c.line) fprintf(stderr, "%s: %d, %s\n", c.body, status, log);
        CHECK(status == 218 && line == c.line);
    }
    CHECK(load("no ptx at all", "k", 218) == nullptr);
    CHECK(load(".version 9.9\n.target sm_75\n", "k", 222) == nullptr);
    CHECK(load(".version 6.5\n.target sm_90\n", "k", 218) == nullptr);
    CHECK(load("\x7f" "ELF", "k", 200) == nullptr);
}

static void speed()
{
    // An elementwise chain: exp(x) - 1 of a product, about 25 instructions.
    std::string text = kernel(".param .u64 x, .param .u64 y, .param .u32 n", index_text +
        "ld.param.u32 %r4, [n]; setp.ge.u32 %p0, %r3, %r4; @%p0 bra END; ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y];\n"
        "mad.wide.u32 %rd2, %r3, 4, %rd0; mad.wide.u32 %rd3, %r3, 4, %rd1; ld.global.f32 %f0, [%rd2]; mul.rn.f32 %f1, %f0, 0f3F000000; fma.rn.f32 %f2, %f1, 0f3FB8AA3B, 0f4B400000;\n"
        "sub.rn.f32 %f3, %f2, 0f4B400000; fma.rn.f32 %f4, %f3, 0fBF317200, %f1; fma.rn.f32 %f5, %f3, 0fB5BFBE8E, %f4; fma.rn.f32 %f6, 0f3AB4A000, %f5, 0f3C092F6E; fma.rn.f32 %f7, %f6, %f5, 0f3D2AADAD;\n"
        "fma.rn.f32 %f8, %f7, %f5, 0f3E2AAA28; fma.rn.f32 %f9, %f8, %f5, 0f3EFFFFFB; fma.rn.f32 %f10, %f9, %f5, 0f3F800000; fma.rn.f32 %f11, %f10, %f5, 0f3F800000; mov.b32 %r5, %f2; sub.u32 %r6, %r5, 0x4B400000;\n"
        "shl.b32 %r7, %r6, 23; add.u32 %r8, %r7, 0x3F800000; mov.b32 %f12, %r8; mul.rn.f32 %f13, %f11, %f12; sub.rn.f32 %f14, %f13, 0f3F800000; st.global.f32 [%rd3], %f14;\nEND: ret;");
    void* f = load(text, "k");
    uint32_t n = 1000003;
    std::vector<float> x(n);
    Numbers numbers(3);
    for (auto& v : x) v = numbers.unit();
    Buffer<float> from(x), to(n);
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 5; i++) CHECK(launch_function(f, {(n + 255) / 256}, {256}, 0, nullptr, from.address, to.address, n) == 0);
    std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    auto y = to.read();
    float worst = 0;
    for (uint32_t i = 0; i < n; i++) worst = std::fmax(worst, std::fabs(y[i] - std::expm1(0.5f * x[i])));
    CHECK(worst < 1e-6f);
    printf("ptx: %.2f ns an element of 25 instructions\n", time.count() / 5 / n * 1e9);
}

void test_ptx()
{
    instructions();
    memory();
    control();
    shuffles();
    shared_memory();
    crossing_errors();
    refusals();
    speed();
}
