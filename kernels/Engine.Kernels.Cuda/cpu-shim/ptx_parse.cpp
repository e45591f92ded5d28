// Reads the body of an entry.
#include "ptx_code.h"
#include <cctype>
#include <cstdlib>
#include <cstring>

namespace engine_standin::ptx
{

static const struct { const char* name; Type type; unsigned bytes; } types[] = {
    {"pred", Type::Pred, 0}, {"u8", Type::U8, 1}, {"b16", Type::B16, 2}, {"u16", Type::U16, 2}, {"b32", Type::B32, 4}, {"s32", Type::S32, 4},
    {"u32", Type::U32, 4}, {"f32", Type::F32, 4}, {"b64", Type::B64, 8}, {"s64", Type::S64, 8}, {"u64", Type::U64, 8}, {"f64", Type::F64, 8},
};

unsigned bytes_of(Type type)
{
    for (auto& t : types)
        if (t.type == type) return t.bytes;
    return 0;
}

bool is_float(Type type) { return type == Type::F32 || type == Type::F64; }

bool find_type(const std::string& name, Type& type)
{
    for (auto& t : types)
        if (name == t.name)
        {
            type = t.type;
            return true;
        }
    return false;
}

namespace
{

struct Reader
{
    const Entry& entry;
    const std::string& s;
    size_t at, end;
    int line;
    Body body;
    std::map<std::string, int> names;

    [[noreturn]] void refuse(const std::string& text) const { throw Refusal{line, text}; }

    void blanks()
    {
        for (; at < end && isspace((unsigned char)s[at]); at++)
            if (s[at] == '\n') line++;
    }

    char peek()
    {
        blanks();
        return at < end ? s[at] : '\0';
    }

    bool take(char c)
    {
        if (peek() != c) return false;
        at++;
        return true;
    }

    void expect(char c)
    {
        if (take(c)) return;
        refuse(std::string("expected ") + c + (at < end ? std::string(", found ") + s[at] : ", found the end"));
    }

    static bool part(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.'; }

    std::string word()
    {
        blanks();
        size_t start = at;
        while (at < end && part(s[at])) at++;
        if (at == start) refuse(at < end ? std::string("unexpected ") + s[at] : "unexpected end");
        return s.substr(start, at - start);
    }

    int64_t integer()
    {
        bool minus = take('-');
        std::string digits = word();
        char* rest;
        errno = 0;
        uint64_t value = strtoull(digits.c_str(), &rest, 0);
        if (!isdigit((unsigned char)digits[0]) || (digits[0] == '0' && digits.size() > 1 && digits[1] != 'x') || *rest || errno)
            refuse("not a whole number: " + digits);
        if (minus && value > (uint64_t)1 << 63) refuse("a number out of range");
        return (int64_t)(minus ? 0 - value : value);
    }

    int reg(const std::string& name)
    {
        auto found = names.find(name);
        if (found == names.end()) refuse("no such register: " + name);
        return found->second;
    }

    void declare(const std::string& name, Type type)
    {
        if (name.size() < 2 || name[0] != '%') refuse("a register's name begins with %: " + name);
        if (!names.emplace(name, (int)body.registers.size()).second) refuse("a second register " + name);
        body.registers.push_back({name, type, line});
        if (body.registers.size() > 1 << 20) refuse("too many registers");
    }

    // .reg .f32 %f<5>, %x;
    void declarations()
    {
        std::string name = word();
        Type type;
        if (name[0] != '.' || !find_type(name.substr(1), type) || type == Type::U8 || type == Type::U16) refuse("registers of type " + name);
        do
        {
            std::string first = word();
            if (!take('<'))
            {
                declare(first, type);
                continue;
            }
            int64_t count = integer();
            expect('>');
            if (count < 0 || count > 1 << 20) refuse("too many registers");
            for (int64_t i = 0; i < count; i++) declare(first + std::to_string(i), type);
        } while (take(','));
        expect(';');
    }

    // .shared .align 4 .b32 name[8];
    void shared_variable()
    {
        if (word() != ".align" || integer() != 4 || word() != ".b32") refuse("a variable in shared memory is .shared .align 4 .b32 NAME[N]");
        std::string name = word();
        if (!isalpha((unsigned char)name[0]) && name[0] != '_') refuse("not a variable's name: " + name);
        if (find_variable(name) >= 0 || body.labels.count(name)) refuse("a second " + name);
        for (auto& parameter : entry.parameters)
            if (parameter.name == name) refuse("a second " + name);
        expect('[');
        int64_t words = integer();
        expect(']');
        expect(';');
        unsigned used = body.variables.empty() ? 0 : body.variables.back().first + body.variables.back().words;
        if (words < 1) refuse("a variable of no words");
        if (words > MaxSharedWords - used) refuse("more than 48 KB of static shared memory");
        body.variables.push_back({name, used, (unsigned)words});
    }

    int find_variable(const std::string& name) const
    {
        for (size_t i = 0; i < body.variables.size(); i++)
            if (body.variables[i].name == name) return (int)i;
        return -1;
    }

    Operand operand()
    {
        Operand o{};
        char c = peek();
        if (c == '{')
        {
            at++;
            o.kind = Operand::Vector;
            do o.elements.push_back(reg(word()));
            while (take(','));
            expect('}');
        }
        else if (c == '[')
        {
            at++;
            o.kind = Operand::Memory;
            std::string base = word();
            if (base[0] == '%') o.reg = reg(base);
            else o.text = base, o.variable = find_variable(base);
            if (take('+')) o.value = integer();
            expect(']');
        }
        else if (c == '-' || isdigit((unsigned char)c))
        {
            size_t start = at;
            bool single = c == '0' && at + 1 < end && (s[at + 1] == 'f' || s[at + 1] == 'F'), wide = c == '0' && at + 1 < end && (s[at + 1] == 'd' || s[at + 1] == 'D');
            if (!single && !wide)
            {
                o.kind = Operand::Integer;
                o.value = integer();
                return o;
            }
            std::string digits = word().substr(2);
            char* rest;
            o.value = (int64_t)strtoull(digits.c_str(), &rest, 16);
            if (digits.size() != (single ? 8u : 16u) || *rest) refuse("not a float: " + s.substr(start, at - start));
            o.kind = single ? Operand::Float32 : Operand::Float64;
        }
        else
        {
            std::string name = word();
            auto found = names.find(name);
            if (found != names.end())
            {
                o.kind = Operand::Reg;
                o.reg = found->second;
            }
            else
            {
                o.variable = find_variable(name);
                o.kind = name[0] == '%' ? Operand::Special : o.variable >= 0 ? Operand::Shared : Operand::Name;
                o.text = name;
            }
        }
        return o;
    }

    void statement()
    {
        Statement st;
        if (take('@'))
        {
            st.negated = take('!');
            st.guard = reg(word());
            if (body.registers[st.guard].type != Type::Pred) refuse("a guard that is not a predicate");
        }
        st.opcode = word();
        st.line = line;
        if (st.guard < 0 && take(':'))
        {
            if (find_variable(st.opcode) >= 0 || !body.labels.emplace(st.opcode, body.statements.size()).second) refuse("a second label " + st.opcode);
            return;
        }
        if (st.guard < 0 && st.opcode == ".reg") return declarations();
        if (st.guard < 0 && st.opcode == ".shared") return shared_variable();
        if (!isalpha((unsigned char)st.opcode[0])) refuse("unknown: " + st.opcode);
        if (!take(';'))
        {
            do st.operands.push_back(operand());
            while (take(','));
            expect(';');
        }
        body.statements.push_back(std::move(st));
    }
};

} // namespace

Body parse(const Text& text, const Entry& entry)
{
    int line = 1;
    for (size_t i = 0; i < entry.body; i++) line += text.source[i] == '\n';
    Reader reader{entry, text.source, entry.body, entry.end, line, {}, {}};
    while (reader.peek()) reader.statement();
    return std::move(reader.body);
}

} // namespace engine_standin::ptx
