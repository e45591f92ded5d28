// PTX text: what the stand-in reads of a module, and the interpreter of the subset that ptx.md lists.
#pragma once
#include "machine.h"
#include <memory>
#include <string>
#include <vector>

namespace engine_standin
{
struct Launch;
}

namespace engine_standin::ptx
{

// What the text has that is not known, and the line.
struct Refusal
{
    int line;
    std::string text;
};

struct EntryParameter { std::string name, type; char kind; unsigned bytes, offset; };

struct Entry
{
    std::string name;
    std::vector<EntryParameter> parameters;
    unsigned parameter_bytes = 0;
    int line = 0, threads = 0; // threads: of .maxntid, 0 where there is none
    size_t body = 0, end = 0;  // between the braces
};

struct Text
{
    std::string source;        // comments made blank
    int version = 0, target = 0, target_line = 0; // 65 for .version 6.5
    int other_line = 0;        // of the first declaration beside entries, 0 where there is none
    std::vector<Entry> entries;
};

Text scan(const std::string& text);

struct Kernel;
std::shared_ptr<const Kernel> compile(const Text& text, const Entry& entry);
engine_shim::Fault run(const Kernel& kernel, const Launch& launch);

} // namespace engine_standin::ptx
