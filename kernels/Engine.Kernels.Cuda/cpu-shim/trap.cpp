// Bad addresses and divisions by zero inside kernels become errors of the launch instead of the end of the process.
#include "block.h"
#include <cstdio>
#include <mutex>
#include <signal.h>
#include <ucontext.h>

namespace engine_shim
{

#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

static struct sigaction before_segv, before_bus, before_fpe;

[[noreturn]] static void landing(int number, uintptr_t address)
{
    if (number == SIGFPE) fault("an integer division by zero (its result is undefined on a GPU)");
    char text[96];
    snprintf(text, sizeof text, "an access to the address 0x%llx, which holds no memory", (unsigned long long)address);
    fault(text, 700);
}

static void pass_on(const struct sigaction& before, int number, siginfo_t* info, void* context)
{
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(number, info, context);
    else if (before.sa_handler == SIG_DFL) sigaction(number, &before, nullptr); // happens again, and ends the process
    else if (before.sa_handler != SIG_IGN) before.sa_handler(number);
}

static void on_signal(int number, siginfo_t* info, void* context)
{
    if (!inside_kernel()) return pass_on(number == SIGSEGV ? before_segv : number == SIGBUS ? before_bus : before_fpe, number, info, context);
    // Goes on at `landing`, at the top of the fiber's stack: what was there is never returned to, and it may be the stack that overflowed.
    Fiber* fiber = this_worker().running_stack();
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    registers[REG_RSP] = (greg_t)((reinterpret_cast<uintptr_t>(fiber->stack) + fiber->bytes) / 16 * 16 - 8);
    registers[REG_RIP] = (greg_t)reinterpret_cast<uintptr_t>(&landing);
    registers[REG_RDI] = number;
    registers[REG_RSI] = (greg_t)reinterpret_cast<uintptr_t>(info->si_addr);
    registers[REG_EFL] &= ~0x400; // direction flag
}

// In the way of the handler that was there, which may count on running on the thread's own stack or on the other.
static void catch_one(int number, struct sigaction& before)
{
    sigaction(number, nullptr, &before);
    struct sigaction action = before;
    action.sa_sigaction = on_signal;
    action.sa_flags |= SA_SIGINFO;
    if (number == SIGSEGV && before.sa_handler == SIG_DFL) action.sa_flags |= SA_ONSTACK;
    sigaction(number, &action, nullptr);
}

void catch_signals()
{
    static std::once_flag once;
    std::call_once(once, [] {
        catch_one(SIGSEGV, before_segv);
        catch_one(SIGBUS, before_bus);
        catch_one(SIGFPE, before_fpe);
    });
    // A thread whose stack overflowed needs another for the handler.
    stack_t current;
    if (sigaltstack(nullptr, &current) == 0 && current.ss_flags & SS_DISABLE)
    {
        stack_t own = {};
        own.ss_size = 65536;
        own.ss_sp = new char[own.ss_size];
        sigaltstack(&own, nullptr);
    }
}

#else

void catch_signals() {}

#endif

} // namespace engine_shim
