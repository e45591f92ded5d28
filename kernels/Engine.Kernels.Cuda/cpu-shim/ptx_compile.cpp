// From statements to steps: checks types, finds the blocks, and gives registers places so that few are used at a time.
#include "ptx_code.h"
#include <algorithm>
#include <set>

namespace engine_standin::ptx
{

namespace
{

using Bits = std::vector<uint64_t>;

bool has(const Bits& bits, int i) { return bits[i >> 6] >> (i & 63) & 1; }
void put(Bits& bits, int i) { bits[i >> 6] |= 1ull << (i & 63); }

// A register, or a constant's number.
struct Value
{
    int reg = -1, constant = -1;
};

// A statement with its operands looked up.
struct Item
{
    enum Kind { Compute, Load, Store, Cross, Branch, Ret, Nothing } kind = Compute;
    int line = 0, guard = -1;
    bool negated = false;
    Handler run = nullptr;
    std::vector<int> writes;
    std::vector<Value> reads;
    int64_t offset = 0;
    size_t target = 0; // statement
};

struct Compiler
{
    const Text& text;
    const Entry& entry;
    Body body;
    std::vector<Item> items;
    std::vector<Constant> constants;
    std::map<Constant, int> constant_numbers;
    std::vector<int> alias; // register -> constant, -1
    Kernel kernel;
    int line = 0;

    Compiler(const Text& text, const Entry& entry) : text(text), entry(entry), body(parse(text, entry)) {}

    [[noreturn]] void refuse(const std::string& what) const { throw Refusal{line, what}; }

    static bool wide(Type type) { return bytes_of(type) == 8; }
    static bool narrow(Type type) { return type == Type::U8 || type == Type::U16; }

    int constant(Constant c)
    {
        auto [place, added] = constant_numbers.emplace(c, (int)constants.size());
        if (added) constants.push_back(c);
        return place->second;
    }

    // Whether a register may stand where an instruction has this type. `wider`: elements of memory and conversions of 8 and 16 bits.
    void check_type(int reg, Type type, bool wider)
    {
        Type own = body.registers[reg].type;
        bool good;
        if (type == Type::Pred || own == Type::Pred) good = type == own;
        else if (is_float(type) || is_float(own)) good = type == own || (bytes_of(type) == bytes_of(own) && (own == Type::B32 || own == Type::B64 || type == Type::B32 || type == Type::B64));
        else good = bytes_of(own) == bytes_of(type) || (wider && bytes_of(own) >= bytes_of(type) && bytes_of(own) <= 4);
        if (!good) refuse("register " + body.registers[reg].name + " is of another type than the instruction");
    }

    Value special(const std::string& name, Type type)
    {
        if (name == "%laneid")
        {
            if (type != Type::U32) refuse("%laneid is of mov.u32");
            return {-1, constant({Constant::LaneIndex, 0, false})};
        }
        static const struct { const char* prefix; Constant::Kind kind; } known[] = {
            {"%tid.", Constant::ThreadIndex}, {"%ntid.", Constant::BlockSize}, {"%ctaid.", Constant::BlockIndex}, {"%nctaid.", Constant::GridSize}};
        for (auto& k : known)
        {
            size_t length = std::string(k.prefix).size();
            if (name.compare(0, length, k.prefix) != 0 || name.size() != length + 1) continue;
            int axis = name[length] - 'x';
            if (axis < 0 || axis > 2) continue;
            if (type != Type::U32 && type != Type::B32) refuse(name + " is of 32 bits without sign");
            return {-1, constant({k.kind, axis, false})};
        }
        refuse("no such register: " + name);
    }

    Value source(const Operand& o, Type type, bool wider = false, bool specials = false)
    {
        switch (o.kind)
        {
            case Operand::Reg:
                check_type(o.reg, type, wider || narrow(type));
                return {o.reg, -1};
            case Operand::Integer:
                if (is_float(type) || type == Type::Pred || narrow(type)) refuse("a whole number where none can be");
                if (bytes_of(type) == 4 && (o.value < -2147483648ll || o.value > 4294967295ll)) refuse("a number beyond 32 bits");
                if (bytes_of(type) == 2 && (o.value < -32768 || o.value > 65535)) refuse("a number beyond 16 bits");
                return {-1, constant({Constant::Literal, bytes_of(type) == 2 ? o.value & 0xFFFF : o.value, wide(type)})};
            case Operand::Float32:
                if (type != Type::F32) refuse("a 32-bit float where none can be");
                return {-1, constant({Constant::Literal, o.value, false})};
            case Operand::Float64:
                if (type != Type::F64) refuse("a 64-bit float where none can be");
                return {-1, constant({Constant::Literal, o.value, true})};
            case Operand::Special:
                if (specials) return special(o.text, type);
                refuse(o.text + " where a plain register is expected (move it first)");
            case Operand::Shared:
                if (!specials || type != Type::U32) refuse("the address of " + o.text + " is had by mov.u32");
                return address_of(o.variable);
            default: refuse("an operand of another kind is expected");
        }
    }

    Value address_of(int variable) { return {-1, constant({Constant::Literal, shared_address(variable), false})}; }

    int destination(const Operand& o, Type type, bool wider = false)
    {
        if (o.kind != Operand::Reg) refuse("the destination is not a register");
        check_type(o.reg, type, wider || narrow(type));
        return o.reg;
    }

    static std::vector<std::string> parts(const std::string& opcode)
    {
        std::vector<std::string> result(1);
        for (char c : opcode)
            if (c == '.') result.emplace_back();
            else result.back() += c;
        return result;
    }

    void count(const Statement& st, size_t expected)
    {
        if (st.operands.size() != expected) refuse(st.opcode + " has " + std::to_string(expected) + " operands");
    }

    // ld.param.T %r, [name]
    bool load_parameter(const Statement& st, const std::vector<std::string>& p, Item& item)
    {
        Type type;
        if (p.size() != 3 || p[0] != "ld" || p[1] != "param" || !find_type(p[2], type)) return false;
        if (type != Type::U32 && type != Type::S32 && type != Type::U64 && type != Type::S64 && type != Type::F32) return false;
        count(st, 2);
        const Operand& from = st.operands[1];
        if (from.kind != Operand::Memory || from.reg >= 0 || from.value) refuse("ld.param reads a parameter by its name");
        for (auto& parameter : entry.parameters)
        {
            if (parameter.name != from.text) continue;
            if (parameter.bytes != bytes_of(type) || (parameter.type == ".f32") != (type == Type::F32)) refuse("parameter " + parameter.name + " is of another type");
            item.writes = {destination(st.operands[0], type)};
            item.reads = {{-1, constant({Constant::Parameter, parameter.offset, wide(type)})}};
            item.run = operations().at(wide(type) ? "mov.b64" : "mov.b32").run;
            return true;
        }
        refuse("no such parameter: " + from.text);
    }

    // ld.global[.nc][.v2|.v4].T, st.global[.v2|.v4].T
    bool access_memory(const Statement& st, std::vector<std::string> p, Item& item)
    {
        bool load = p[0] == "ld";
        if ((!load && p[0] != "st") || p.size() < 3 || p[1] != "global") return false;
        size_t next = 2;
        if (load && p[next] == "nc") next++;
        int elements = 1;
        if (next < p.size() && (p[next] == "v2" || p[next] == "v4")) elements = p[next++] == "v2" ? 2 : 4;
        Type type;
        if (next + 1 != p.size() || !find_type(p[next], type) || type == Type::Pred || bytes_of(type) == 8) return false;
        count(st, 2);
        const Operand &address = st.operands[load ? 1 : 0], &data = st.operands[load ? 0 : 1];
        if (address.kind != Operand::Memory || address.reg < 0) refuse("the address is [%register] or [%register+number]");
        check_type(address.reg, Type::B64, false);
        if (is_float(body.registers[address.reg].type)) refuse("an address in a float register");
        item.kind = load ? Item::Load : Item::Store;
        item.offset = address.value;
        item.reads = {{address.reg, -1}};
        item.run = load ? load_handler(bytes_of(type), elements) : store_handler(bytes_of(type), elements);
        if (elements > 1 && (data.kind != Operand::Vector || (int)data.elements.size() != elements)) refuse("a vector of " + std::to_string(elements) + " registers is expected");
        for (int i = 0; i < elements; i++)
        {
            Operand one = data;
            if (elements > 1) one = {}, one.kind = Operand::Reg, one.reg = data.elements[i];
            if (load) item.writes.push_back(destination(one, type, !is_float(type)));
            else item.reads.push_back(source(one, type, !is_float(type)));
        }
        if (load && std::set<int>(item.writes.begin(), item.writes.end()).size() != item.writes.size()) refuse("a vector load writes a register twice");
        return true;
    }

    // ld.shared.T, st.shared.T
    bool access_shared(const Statement& st, const std::vector<std::string>& p, Item& item)
    {
        bool load = p[0] == "ld";
        Type type;
        if ((!load && p[0] != "st") || p.size() != 3 || p[1] != "shared" || !find_type(p[2], type)) return false;
        if (type != Type::F32 && type != Type::B32 && type != Type::U32) return false;
        count(st, 2);
        const Operand &address = st.operands[load ? 1 : 0], &data = st.operands[load ? 0 : 1];
        if (address.kind != Operand::Memory) refuse("the address is [%register], [NAME], or one of them + number");
        if (address.reg < 0 && address.variable < 0) refuse("no such variable in shared memory: " + address.text);
        if (address.reg >= 0) check_type(address.reg, Type::U32, false);
        item.kind = load ? Item::Load : Item::Store;
        item.offset = address.value;
        item.reads = {address.reg >= 0 ? Value{address.reg, -1} : address_of(address.variable)};
        item.run = load ? load_shared : store_shared;
        if (load) item.writes = {destination(data, type)};
        else item.reads.push_back(source(data, type));
        return true;
    }

    // bar.sync 0; shfl.sync.bfly.b32 %d, %a, lanes, 0x1f, 0xffffffff
    bool cross(const Statement& st, Item& item)
    {
        auto number = [&](size_t operand, int64_t low, int64_t high, const char* what) {
            const Operand& o = st.operands[operand];
            if (o.kind != Operand::Integer || o.value < low || o.value > high) refuse(st.opcode + ": " + what);
            return o.value;
        };
        if (st.opcode == "bar.sync")
        {
            count(st, 1);
            number(0, 0, 0, "the barrier is 0");
            item.run = barrier;
        }
        else if (st.opcode == "shfl.sync.bfly.b32")
        {
            count(st, 5);
            item.writes = {destination(st.operands[0], Type::B32)};
            if (st.operands[1].kind != Operand::Reg) refuse("shfl.sync.bfly.b32: the source is a register");
            item.reads = {source(st.operands[1], Type::B32)};
            item.offset = number(2, 0, 31, "the lane mask is a number from 0 to 31");
            number(3, 0x1f, 0x1f, "the clamp is 0x1f");
            number(4, 0xffffffff, 0xffffffff, "the members are all lanes, 0xffffffff");
            item.run = shuffle;
        }
        else return false;
        item.kind = Item::Cross;
        return true;
    }

    void look_up(const Statement& st, Item& item)
    {
        auto p = parts(st.opcode);
        if (st.opcode == "ret")
        {
            count(st, 0);
            item.kind = Item::Ret;
            return;
        }
        if (st.opcode == "bra" || st.opcode == "bra.uni")
        {
            count(st, 1);
            if (st.operands[0].kind != Operand::Name) refuse("bra goes to a label");
            auto label = body.labels.find(st.operands[0].text);
            if (label == body.labels.end()) refuse("no such label: " + st.operands[0].text);
            item.kind = Item::Branch;
            item.target = label->second;
            return;
        }
        if (load_parameter(st, p, item) || access_memory(st, p, item) || access_shared(st, p, item) || cross(st, item)) return;
        auto operation = operations().find(st.opcode);
        if (operation == operations().end()) refuse("unknown instruction: " + st.opcode);
        const std::string& letters = operation->second.types;
        count(st, letters.size());
        item.run = operation->second.run;
        item.writes = {destination(st.operands[0], type_of_letter(letters[0]))};
        for (size_t i = 1; i < letters.size(); i++) item.reads.push_back(source(st.operands[i], type_of_letter(letters[i]), false, p[0] == "mov"));
    }

    void look_up_all()
    {
        for (auto& st : body.statements)
        {
            line = st.line;
            Item item;
            item.line = st.line;
            item.guard = st.guard;
            item.negated = st.negated;
            look_up(st, item);
            items.push_back(item);
        }
        line = body.statements.empty() ? entry.line : body.statements.back().line;
        if (items.empty() || items.back().guard >= 0 || (items.back().kind != Item::Ret && items.back().kind != Item::Branch)) refuse("the entry does not end with ret");
        for (auto& label : body.labels)
            if (label.second == items.size()) refuse("the label " + label.first + " is followed by nothing");
    }

    // Registers that are written once, with a constant, are that constant.
    void find_aliases()
    {
        std::vector<int> written(body.registers.size());
        for (auto& item : items)
            for (int reg : item.writes) written[reg]++;
        alias.assign(body.registers.size(), -1);
        auto move64 = operations().at("mov.b64").run, move32 = operations().at("mov.b32").run, address = operations().at("cvta.to.global.u64").run;
        for (auto& item : items)
        {
            if (item.kind != Item::Compute || item.guard >= 0 || (item.run != move64 && item.run != move32 && item.run != address)) continue;
            Value from = item.reads[0];
            int c = from.constant >= 0 ? from.constant : alias[from.reg];
            if (c < 0 || written[item.writes[0]] != 1) continue;
            alias[item.writes[0]] = c;
            item.kind = Item::Nothing;
        }
        for (auto& item : items)
            for (auto& value : item.reads)
                if (value.reg >= 0 && alias[value.reg] >= 0) value = {-1, alias[value.reg]};
    }

    std::vector<size_t> starts; // of the blocks, statement numbers
    int block_of(size_t statement) const { return (int)(std::lower_bound(starts.begin(), starts.end(), statement) - starts.begin()); }

    void find_blocks()
    {
        std::set<size_t> first{0};
        for (size_t i = 0; i < items.size(); i++)
        {
            if (items[i].kind == Item::Branch) first.insert(items[i].target);
            if ((items[i].kind == Item::Branch || items[i].kind == Item::Ret) && i + 1 < items.size()) first.insert(i + 1);
        }
        starts.assign(first.begin(), first.end());
        for (size_t b = 0; b < starts.size(); b++)
        {
            Block block;
            block.begin = starts[b];
            block.line = items[block.begin].line;
            block.end = b + 1 < starts.size() ? starts[b + 1] : items.size();
            const Item& last = items[block.end - 1];
            block.next = (int)b + 1;
            if (last.kind == Item::Branch || last.kind == Item::Ret)
            {
                block.target = last.kind == Item::Ret || (items[last.target].kind == Item::Ret && items[last.target].guard < 0) ? Block::Return : block_of(last.target);
                block.guard = last.guard;
                block.negated = last.negated;
            }
            kernel.blocks.push_back(block);
        }
    }

    template <typename F> void each_read(const Item& item, F f)
    {
        if (item.kind == Item::Nothing) return;
        for (auto& value : item.reads)
            if (value.reg >= 0) f(value.reg);
        if (item.guard >= 0)
        {
            f(item.guard);
            for (int reg : item.writes) f(reg); // kept where the guard is false
        }
    }

    std::vector<int> followers(const Block& block) const
    {
        std::vector<int> result;
        if (block.target >= 0) result.push_back(block.target);
        if (block.target == -1 || block.guard >= 0) result.push_back(block.next);
        return result;
    }

    // Refuses a read of what no path has written.
    void check_written()
    {
        size_t words = body.registers.size() / 64 + 1;
        std::vector<Bits> in(kernel.blocks.size(), Bits(words));
        bool changed = true;
        auto flow = [&](size_t b, bool check) {
            Bits written = in[b];
            for (size_t i = kernel.blocks[b].begin; i < kernel.blocks[b].end; i++)
            {
                auto& item = items[i];
                line = item.line;
                if (check && item.kind != Item::Nothing)
                {
                    for (auto& value : item.reads)
                        if (value.reg >= 0 && !has(written, value.reg)) refuse("register " + body.registers[value.reg].name + " is read but not written before");
                    if (item.guard >= 0 && !has(written, item.guard)) refuse("register " + body.registers[item.guard].name + " is read but not written before");
                }
                for (int reg : item.writes) put(written, reg);
            }
            return written;
        };
        while (changed)
        {
            changed = false;
            for (size_t b = 0; b < kernel.blocks.size(); b++)
            {
                Bits out = flow(b, false);
                for (int f : followers(kernel.blocks[b]))
                    for (size_t w = 0; w < words; w++)
                        if (out[w] & ~in[f][w]) in[f][w] |= out[w], changed = true;
            }
        }
        // Blocks that nothing leads to have no bits, and are not run.
        std::vector<bool> reached(kernel.blocks.size());
        std::vector<int> stack{0};
        while (!stack.empty())
        {
            int b = stack.back();
            stack.pop_back();
            if (reached[b]) continue;
            reached[b] = true;
            for (int f : followers(kernel.blocks[b])) stack.push_back(f);
        }
        for (size_t b = 0; b < kernel.blocks.size(); b++)
            if (reached[b]) flow(b, true);
    }

    std::vector<unsigned> places; // of the registers

    void give_places()
    {
        size_t words = body.registers.size() / 64 + 1;
        std::vector<Bits> live_in(kernel.blocks.size(), Bits(words)), live_out = live_in;
        for (bool changed = true; changed;)
        {
            changed = false;
            for (size_t b = kernel.blocks.size(); b-- > 0;)
            {
                auto& block = kernel.blocks[b];
                Bits live(words);
                for (int f : followers(block))
                    for (size_t w = 0; w < words; w++) live[w] |= live_in[f][w];
                live_out[b] = live;
                for (size_t i = block.end; i-- > block.begin;)
                {
                    for (int reg : items[i].writes) live[reg >> 6] &= ~(1ull << (reg & 63));
                    each_read(items[i], [&](int reg) { put(live, reg); });
                }
                if (live != live_in[b]) live_in[b] = live, changed = true;
            }
        }
        // A register keeps its place from the first to the last statement where it matters.
        struct Span { int reg; long first, last; };
        std::vector<Span> spans;
        for (size_t r = 0; r < body.registers.size(); r++) spans.push_back({(int)r, (long)items.size(), -1});
        auto touch = [&](int reg, size_t at) { spans[reg].first = std::min(spans[reg].first, (long)at), spans[reg].last = std::max(spans[reg].last, (long)at); };
        for (size_t b = 0; b < kernel.blocks.size(); b++)
        {
            auto& block = kernel.blocks[b];
            for (size_t r = 0; r < body.registers.size(); r++)
            {
                if (has(live_in[b], (int)r)) touch((int)r, block.begin);
                if (has(live_out[b], (int)r)) touch((int)r, block.end - 1);
            }
            for (size_t i = block.begin; i < block.end; i++)
            {
                if (items[i].kind == Item::Nothing) continue;
                each_read(items[i], [&](int reg) { touch(reg, i); });
                for (int reg : items[i].writes) touch(reg, i);
            }
        }
        std::sort(spans.begin(), spans.end(), [](auto& a, auto& b) { return std::tie(a.first, a.reg) < std::tie(b.first, b.reg); });
        unsigned top = 0;
        for (size_t c = 0; c < constants.size(); c++)
        {
            kernel.constants.emplace_back(constants[c], top);
            top += SlotBytes * (constants[c].wide ? 2 : 1);
        }
        places.assign(body.registers.size(), 0);
        std::set<unsigned> free[2];
        std::multimap<long, int> ends;
        for (auto& span : spans)
        {
            if (span.last < 0) continue;
            while (!ends.empty() && ends.begin()->first < span.first)
            {
                int reg = ends.begin()->second;
                free[wide(body.registers[reg].type)].insert(places[reg]);
                ends.erase(ends.begin());
            }
            bool two = wide(body.registers[span.reg].type);
            if (free[two].empty()) free[two].insert(top), top += SlotBytes * (two ? 2 : 1);
            places[span.reg] = *free[two].begin();
            free[two].erase(free[two].begin());
            ends.emplace(span.last, span.reg);
        }
        kernel.scratch = top;
        kernel.file_bytes = top + 2 * SlotBytes;
    }

    unsigned place(const Value& value) const { return value.reg >= 0 ? places[value.reg] : kernel.constants[value.constant].second; }

    int guard_place(int reg) const { return reg < 0 ? -1 : (int)places[reg]; }

    void emit()
    {
        for (auto& block : kernel.blocks)
        {
            size_t begin = kernel.steps.size();
            for (size_t i = block.begin; i < block.end; i++)
            {
                const Item& item = items[i];
                if (item.kind == Item::Branch || item.kind == Item::Ret || item.kind == Item::Nothing) continue;
                Step step{};
                step.run = item.run;
                step.guard = guard_place(item.guard);
                step.negated = item.negated;
                step.line = item.line;
                step.offset = item.offset;
                step.masked = item.kind != Item::Compute;
                if (!item.writes.empty()) step.to = places[item.writes[0]], step.wide = wide(body.registers[item.writes[0]].type);
                unsigned* reads[] = {&step.a, &step.b, item.kind == Item::Store ? &step.more[0] : &step.c, &step.more[1], &step.more[2]};
                for (size_t k = 0; k < item.reads.size(); k++) *reads[k] = place(item.reads[k]);
                for (size_t k = 1; k < item.writes.size(); k++) step.more[k - 1] = places[item.writes[k]];
                kernel.steps.push_back(step);
            }
            block.begin = begin;
            block.end = kernel.steps.size();
            block.guard = guard_place(block.guard);
        }
    }

    std::shared_ptr<const Kernel> compile()
    {
        kernel.name = entry.name;
        kernel.variables = body.variables;
        for (auto& variable : body.variables) kernel.shared_words += variable.words;
        look_up_all();
        find_aliases();
        find_blocks();
        check_written();
        give_places();
        emit();
        return std::make_shared<Kernel>(std::move(kernel));
    }
};

} // namespace

std::shared_ptr<const Kernel> compile(const Text& text, const Entry& entry)
{
    if (text.other_line) throw Refusal{text.other_line, "a declaration beside entries, in a module that is interpreted"};
    return Compiler(text, entry).compile();
}

} // namespace engine_standin::ptx
