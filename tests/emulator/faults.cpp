/* tests/emulator/faults.cpp - a memory fault or an endless loop in a kernel becomes a report, and
 * the process goes on. The handler sends the coroutine to a spare stack, where the block is
 * abandoned. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/emulator/internal.h"

static void report_fault(void)
{
    const worker *w = emu_worker;
    if (w->fault_signal == SIGRTMIN)
        emu_fail("runs for more than %d s, at %s: waits for what never comes, or loops for ever",
                 emu_set.watchdog_s, emu_source_line(w->fault_pc).c_str());
    const emu_site site = w->probing;
    emu_worker->probing = { nullptr, 0 };
    if (site.file)
        emu_fail("memory fault at %s:%d: %s", site.file, site.line,
                 emu_describe(w->fault_address).c_str());
    emu_fail("memory fault at %s: %s", emu_source_line(w->fault_pc).c_str(),
             emu_describe(w->fault_address).c_str());
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    worker *w = emu_worker;
    if (!emu_now) {
        if (number != SIGRTMIN)
            signal(number, SIG_DFL);
        return;
    }
    ucontext_t *u = (ucontext_t *)context;
    w->fault_signal = number;
    w->fault_address = info->si_addr;
    w->fault_pc = (char *)u->uc_mcontext.gregs[REG_RIP] + 1;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)report_fault;
    u->uc_mcontext.gregs[REG_RSP] = (greg_t)(w->fault_stack + FAULT_STACK - 8);
}

void emu_watch_faults(worker *w)
{
    w->fault_stack = (unsigned char *)malloc(FAULT_STACK);
    stack_t alt = {};
    alt.ss_sp = w->signal_stack = (unsigned char *)malloc(FAULT_STACK);
    alt.ss_size = FAULT_STACK;
    sigaltstack(&alt, nullptr);
    struct sigaction act = {};
    act.sa_sigaction = on_signal;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int number : { SIGSEGV, SIGBUS, SIGRTMIN })
        sigaction(number, &act, nullptr);

    struct sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    w->has_timer = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &w->timer) == 0;
}

/* Processor time, so that a busy machine is not blamed on the kernel. 0 stops the clock. */
void emu_watchdog(worker *w, int seconds)
{
    struct itimerspec spec = {};
    spec.it_value.tv_sec = seconds;
    if (w->has_timer)
        timer_settime(w->timer, 0, &spec, nullptr);
}
