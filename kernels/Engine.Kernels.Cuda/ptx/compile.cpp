// Compiles one kernel file to PTX with NVRTC, which has no command line of its own.
// compile LIBNVRTC SOURCE INCLUDES ARCHITECTURE VERSION: writes the PTX to the standard output, with the .version given in place of
// the compiler's own, so that older drivers take it; ptxas says whether that is true. Messages go to the standard error.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

namespace {

[[noreturn]] void fail(const std::string& message)
{
    std::cerr << message << '\n';
    std::exit(1);
}

void* library;

template <typename F> F* function(const char* name)
{
    void* address = dlsym(library, name);
    if (!address) fail(std::string(name) + " is missing in the library");
    return reinterpret_cast<F*>(address);
}

using Program = void*;

} // namespace

int main(int count, char** arguments)
{
    if (count != 6) fail("compile LIBNVRTC SOURCE INCLUDES ARCHITECTURE VERSION");
    std::string path = arguments[2], version = arguments[5];
    library = dlopen(arguments[1], RTLD_NOW);
    if (!library) fail(dlerror());
    auto create = function<int(Program*, const char*, const char*, int, const char* const*, const char* const*)>("nvrtcCreateProgram");
    auto compile = function<int(Program, int, const char* const*)>("nvrtcCompileProgram");
    auto log_size = function<int(Program, size_t*)>("nvrtcGetProgramLogSize");
    auto log = function<int(Program, char*)>("nvrtcGetProgramLog");
    auto ptx_size = function<int(Program, size_t*)>("nvrtcGetPTXSize");
    auto ptx = function<int(Program, char*)>("nvrtcGetPTX");

    std::ifstream file(path, std::ios::binary);
    if (!file) fail(path + ": cannot be read");
    std::string source{std::istreambuf_iterator<char>(file), {}};
    // The file's name alone: a path would be a difference between machines.
    std::string name = path.substr(path.find_last_of('/') + 1);
    std::string includes = std::string("--include-path=") + arguments[3], architecture = std::string("--gpu-architecture=") + arguments[4];
    const char* options[] = {includes.c_str(), architecture.c_str(), "--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"};
    Program program;
    if (create(&program, source.c_str(), name.c_str(), 0, nullptr, nullptr)) fail(path + ": no program");
    int status = compile(program, sizeof(options) / sizeof(*options), options);
    size_t size = 0;
    if (!log_size(program, &size) && size > 1)
    {
        std::string text(size, '\0');
        log(program, text.data());
        std::cerr << text.c_str();
        if (!status) fail(path + ": warnings are errors");
    }
    if (status) fail(path + ": does not compile for " + arguments[4]);
    if (ptx_size(program, &size)) fail(path + ": no PTX");
    std::string text(size, '\0');
    if (ptx(program, text.data())) fail(path + ": no PTX");
    text.resize(size - 1);
    size_t at = text.find(".version ");
    if (at == std::string::npos) fail(path + ": PTX without a version");
    text.replace(at, text.find('\n', at) - at, ".version " + version);
    std::cout << text;
    return std::cout.flush() ? 0 : 1;
}
