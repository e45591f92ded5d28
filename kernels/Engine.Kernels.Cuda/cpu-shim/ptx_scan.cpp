// Splits a module's text into its entries, without reading their bodies.
#include "ptx.h"
#include <cctype>
#include <cstdlib>

namespace engine_standin::ptx
{

static std::string without_comments(const std::string& text)
{
    std::string result = text;
    for (size_t i = 0; i + 1 < result.size();)
    {
        bool line = result[i] == '/' && result[i + 1] == '/', block = result[i] == '/' && result[i + 1] == '*';
        if (!line && !block)
        {
            i++;
            continue;
        }
        size_t end = line ? result.find('\n', i) : result.find("*/", i + 2);
        end = end == std::string::npos ? result.size() : line ? end : end + 2;
        for (; i < end; i++)
            if (result[i] != '\n') result[i] = ' ';
    }
    return result;
}

namespace
{

struct Scanner
{
    const std::string& s;
    size_t at = 0;
    int line = 1;

    [[noreturn]] void refuse(const std::string& text) { throw Refusal{line, text}; }

    void advance()
    {
        if (s[at++] == '\n') line++;
    }

    void blanks()
    {
        while (at < s.size() && isspace((unsigned char)s[at])) advance();
    }

    // A name, a directive, a number, or one sign; empty at the end.
    std::string token()
    {
        blanks();
        size_t start = at;
        auto part = [&](char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.'; };
        while (at < s.size() && part(s[at])) at++;
        if (at == start && at < s.size()) at++;
        return s.substr(start, at - start);
    }

    void expect(const char* what)
    {
        std::string found = token();
        if (found != what) refuse(std::string("expected ") + what + ", found " + (found.empty() ? "the end" : found));
    }

    // To the end of what begins with {, whose brace was read.
    void skip_braces()
    {
        for (int depth = 1; depth > 0; advance())
        {
            if (at >= s.size()) refuse("a brace is not closed");
            if (s[at] == '{') depth++;
            if (s[at] == '}') depth--;
        }
    }

    // To the end of a declaration: a semicolon, or the body of a function.
    void skip_declaration()
    {
        for (;;)
        {
            std::string t = token();
            if (t.empty()) refuse("a declaration is not closed");
            if (t == ";") return;
            if (t != "{") continue;
            skip_braces();
            blanks();
            if (at < s.size() && s[at] == ';') advance();
            return;
        }
    }
};

} // namespace

static void read_parameters(Scanner& in, Entry& entry)
{
    in.expect("(");
    std::string t = in.token();
    while (t != ")")
    {
        if (t != ".param") in.refuse("expected .param, found " + t);
        EntryParameter p;
        p.type = in.token();
        p.kind = 'b';
        if (p.type == ".u64" || p.type == ".s64" || p.type == ".b64" || p.type == ".f64") p.bytes = 8;
        else if (p.type == ".u32" || p.type == ".s32" || p.type == ".b32" || p.type == ".f32") p.bytes = 4;
        else in.refuse("a parameter of type " + p.type);
        t = in.token();
        for (; t == ".ptr" || t == ".global" || t == ".align"; t = in.token())
            if (t == ".align") in.token();
        p.name = t;
        p.offset = (entry.parameter_bytes + p.bytes - 1) / p.bytes * p.bytes;
        entry.parameter_bytes = p.offset + p.bytes;
        entry.parameters.push_back(p);
        t = in.token();
        if (t == ",") t = in.token();
        else if (t != ")") in.refuse("expected , or ), found " + t);
    }
}

static Entry read_entry(Scanner& in)
{
    Entry entry;
    entry.line = in.line;
    entry.name = in.token();
    read_parameters(in, entry);
    std::string t = in.token();
    for (; t != "{"; t = in.token())
    {
        if (t == ".maxntid")
        {
            entry.threads = atoi(in.token().c_str());
            for (in.blanks(); in.at < in.s.size() && in.s[in.at] == ','; in.blanks())
            {
                in.token();
                entry.threads *= atoi(in.token().c_str());
            }
            if (entry.threads < 1 || entry.threads > 1024) in.refuse(".maxntid of " + std::to_string(entry.threads) + " threads");
        }
        else if (t == ".minnctapersm") in.token();
        else in.refuse("expected {, found " + (t.empty() ? "the end" : t));
    }
    entry.body = in.at;
    in.skip_braces();
    entry.end = in.at - 1;
    return entry;
}

Text scan(const std::string& text)
{
    Text result;
    result.source = without_comments(text);
    Scanner in{result.source};
    for (std::string t = in.token(); !t.empty(); t = in.token())
    {
        if (t == ".version")
        {
            std::string version = in.token();
            char* rest;
            result.version = 10 * (int)strtol(version.c_str(), &rest, 10);
            if (*rest != '.' || !isdigit((unsigned char)rest[1]) || rest[2]) in.refuse("a version " + version);
            result.version += rest[1] - '0';
        }
        else if (t == ".target")
        {
            std::string target = in.token();
            result.target_line = in.line;
            if (target.compare(0, 3, "sm_") != 0) in.refuse("a target " + target);
            result.target = atoi(target.c_str() + 3);
            for (in.blanks(); in.at < in.s.size() && in.s[in.at] == ','; in.blanks()) in.token(), in.token();
        }
        else if (t == ".address_size")
        {
            if (in.token() != "64") in.refuse("an address size that is not 64");
        }
        else if (t == ".visible" || t == ".weak") continue;
        else if (t == ".entry") result.entries.push_back(read_entry(in));
        else if (t == ".extern" || t == ".global" || t == ".const" || t == ".shared" || t == ".func")
        {
            if (!result.other_line) result.other_line = in.line;
            in.skip_declaration();
        }
        else in.refuse("unknown: " + t);
        if (!result.version) in.refuse("a module begins with .version");
    }
    if (!result.version || !result.target) throw Refusal{1, "a module needs .version and .target"};
    return result;
}

} // namespace engine_standin::ptx
