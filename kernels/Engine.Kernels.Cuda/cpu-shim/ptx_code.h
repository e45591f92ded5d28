// The interpreter's parts: statements as read, and the code that runs. An instruction works on all threads of a part of a block at
// once: a register is an array with one element a thread.
#pragma once
#include "ptx.h"
#include <array>
#include <map>
#include <tuple>

namespace engine_standin::ptx
{

constexpr int Lanes = 256;                 // threads that run at once
constexpr unsigned SlotBytes = 4 * Lanes;  // a register of 32 bits; one of 64 bits takes two. Predicates are words of all or no bits,
                                           // 16-bit registers words whose upper half is 0

enum class Type : unsigned char { Pred, U8, B16, U16, B32, S32, U32, F32, B64, S64, U64, F64 };

unsigned bytes_of(Type type);              // in memory; 0 for a predicate
bool is_float(Type type);
bool find_type(const std::string& name, Type& type); // "f32"

// ---- As read

struct Register { std::string name; Type type; int line; };

// A variable in shared memory, of words. Its address is `shared_address` of its number: variables are far apart, so that an access
// beyond one of them is inside of none.
struct Variable { std::string name; unsigned first, words; }; // first: word of the block's
constexpr uint32_t VariableBytes = 1 << 17, MaxSharedWords = 48 * 1024 / 4;
inline uint32_t shared_address(int variable) { return (uint32_t)(variable + 1) * VariableBytes; }

struct Operand
{
    enum Kind { Reg, Integer, Float32, Float64, Special, Memory, Vector, Shared, Name } kind;
    int reg = -1;              // Reg; the address of Memory, -1 if that is a name
    int variable = -1;         // Shared, and the address of Memory: its number
    int64_t value = 0;         // Integer; bits of a float; offset of Memory
    std::string text;          // Special, Name, and Memory of a parameter
    std::vector<int> elements; // Vector
};

struct Statement
{
    int line = 0, guard = -1;
    bool negated = false;
    std::string opcode;
    std::vector<Operand> operands;
};

struct Body
{
    std::vector<Register> registers;
    std::vector<Statement> statements;
    std::vector<Variable> variables;
    std::map<std::string, size_t> labels; // -> statement
};

Body parse(const Text& text, const Entry& entry);

// ---- As run

struct Frame;
struct Step;
using Handler = void (*)(Frame& frame, const Step& step, unsigned char* to);

struct Step
{
    Handler run;
    unsigned to, a, b, c;      // places of registers in the frame's file
    unsigned more[3];          // further destinations of a vector, or sources after b
    int64_t offset;            // of an address; what lanes are shuffled by
    int guard, line;           // place of the predicate, -1 without
    bool negated, masked, wide; // masked: heeds the mask itself; wide: the destination has 64 bits
};

struct Block
{
    size_t begin, end;         // steps
    int line;                  // of the first statement
    int target = -1;           // block of the branch at the end; Return for a branch to nothing but ret
    int guard = -1;            // of the branch, -1 if it is always taken
    bool negated = false;
    int next = -1;             // block that follows where the branch is not taken
    static constexpr int Return = -2;
};

// A value that no instruction computes: where it comes from.
struct Constant
{
    enum Kind { Literal, Parameter, BlockSize, GridSize, BlockIndex, ThreadIndex, LaneIndex } kind;
    int64_t value;             // literal's bits, offset of the parameter, or 0..2 for x, y, z
    bool wide;
    bool operator<(const Constant& o) const { return std::tie(kind, value, wide) < std::tie(o.kind, o.value, o.wide); }
};

struct Kernel
{
    std::string name;
    std::vector<Step> steps;
    std::vector<Block> blocks;
    std::vector<std::pair<Constant, unsigned>> constants; // and their places
    unsigned file_bytes = 0, scratch = 0;
    std::vector<Variable> variables;
    unsigned shared_words = 0;
};

// An operation that is its table's: what it is called, the types of its operands (the destination first) and what it does.
struct Operation { std::string types; Handler run; };
const std::map<std::string, Operation>& operations();
Type type_of_letter(char letter);

// Loads and stores of elements of `bytes` in memory, `count` to a thread; elements of 1 and 2 bytes are zero-extended to words.
Handler load_handler(unsigned bytes, int count);
Handler store_handler(unsigned bytes, int count);

// What crosses threads.
extern const Handler shuffle, barrier, load_shared, store_shared;

using Mask = std::array<uint32_t, Lanes>; // all or no bits

// Threads that go on together, and the block of the text where they are.
struct Group
{
    int block;
    Mask mask;
};

// A word of shared memory. Between two barriers a word that one thread writes is no other's.
struct SharedWord
{
    uint32_t value;
    unsigned written, read; // in which interval between barriers, 0 never
    int writer, reader;     // and by which thread
};

struct Frame
{
    unsigned char* file;
    int lanes;                  // threads, rounded up to a multiple of 16
    int active;                 // threads that take part in a masked operation, where `mask` is null: the first ones
    const uint32_t* mask;       // else by thread
    const Kernel* kernel;
    const Launch* launch;
    uint64_t low = 1, high = 0; // the range that the last access was in
    int first = 0, count = 0;   // threads of the block: the first that runs, and how many do
    Group now{};                // who runs
    std::vector<Group> waiting; // who does not
    SharedWord* shared = nullptr;
    unsigned interval = 1;      // between barriers

    bool takes_part(int lane) const { return mask ? mask[lane] != 0 : lane < active; }
};

// What ends a launch; lane: of the thread, -1 if it is not known.
struct RunError { int code; std::string text; int lane = -1; };

// Throws unless the bytes are in an operand, or where none is known in an allocation.
void check_access(Frame& frame, uint64_t address, uint64_t bytes);

} // namespace engine_standin::ptx
