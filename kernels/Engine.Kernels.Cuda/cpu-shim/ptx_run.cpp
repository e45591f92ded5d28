#include "driver.h"
namespace engine_standin::ptx
{
struct Kernel {};
std::shared_ptr<const Kernel> compile(const Text&, const Entry& entry) { throw Refusal{entry.line, "entry " + entry.name + " is not held natively, and the interpreter is not written yet"}; }
engine_shim::Fault run(const Kernel&, const Launch&) { return {NotSupported, "the interpreter is not written yet"}; }
}
