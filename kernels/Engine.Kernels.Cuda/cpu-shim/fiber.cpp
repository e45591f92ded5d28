// Fibers: a switch by hand on x64, ucontext elsewhere (or where ENGINE_SHIM_UCONTEXT is defined, to test it).
#include "machine.h"
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#if defined(__x86_64__) && !defined(ENGINE_SHIM_UCONTEXT)
#define SWITCH_BY_HAND 1
#else
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace engine_shim
{

static constexpr size_t StackBytes = 256 * 1024, GuardBytes = 4096;

#if defined(__SANITIZE_ADDRESS__)
static thread_local Fiber* came_from;
#endif

#if SWITCH_BY_HAND
extern "C" void engine_shim_switch(void** save, void* load);
asm(R"(
    .text
    .globl engine_shim_switch
    .hidden engine_shim_switch
    .type engine_shim_switch, @function
engine_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size engine_shim_switch, .-engine_shim_switch
)");
#endif

Fiber* create_fiber(void (*body)())
{
    // Stacks begin at different places within a page: else the same lines of the cache would hold all of them.
    static std::atomic<unsigned> created{0};
    size_t colour = created.fetch_add(1) * 7 % 56 * 64;
    void* memory = mmap(nullptr, StackBytes + GuardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, GuardBytes, PROT_NONE) != 0)
    {
        perror("stand-in: no memory for a fiber's stack");
        abort();
    }
    auto fiber = new Fiber{};
    fiber->stack = static_cast<unsigned char*>(memory) + GuardBytes;
    fiber->bytes = StackBytes - colour;
    reset_fiber(fiber, body);
    return fiber;
}

void reset_fiber(Fiber* fiber, void (*body)())
{
    fiber->fake_stack = nullptr;
#if SWITCH_BY_HAND
    auto top = reinterpret_cast<void**>(fiber->stack + fiber->bytes);
    *--top = nullptr; // where the body would return to, and the alignment that a function expects
    *--top = reinterpret_cast<void*>(body);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fiber->stack_pointer = top;
#else
    auto context = static_cast<ucontext_t*>(fiber->stack_pointer);
    if (!context) fiber->stack_pointer = context = new ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = fiber->stack;
    context->uc_stack.ss_size = fiber->bytes;
    context->uc_link = nullptr;
    makecontext(context, body, 0);
#endif
}

void switch_fiber(Fiber* from, Fiber* to)
{
#if defined(__SANITIZE_ADDRESS__)
    came_from = from;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->bytes);
#endif
#if SWITCH_BY_HAND
    engine_shim_switch(&from->stack_pointer, to->stack_pointer);
#else
    if (!from->stack_pointer) from->stack_pointer = new ucontext_t;
    swapcontext(static_cast<ucontext_t*>(from->stack_pointer), static_cast<ucontext_t*>(to->stack_pointer));
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

void started_fiber()
{
#if defined(__SANITIZE_ADDRESS__)
    const void* bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
    // The worker's own stack, which it does not know itself.
    if (!came_from->stack)
    {
        came_from->stack = static_cast<unsigned char*>(const_cast<void*>(bottom));
        came_from->bytes = bytes;
    }
#endif
}

} // namespace engine_shim
