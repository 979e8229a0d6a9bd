/* host/app/signals.c - a flag that the run looks at between two steps. */
#include "host/app/signals.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void note(int number) { caught = number; }

/* A mapped file has less behind it than it had. No more can be said or done from here. */
static void end_cut_short(int number)
{
    static const char line[] = "mikubench-cuda: a file was cut short while it was read\n";
    (void)number;
    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    _exit(EXIT_FAILURE);
}

void signals_catch(void)
{
    struct sigaction action = { .sa_handler = note };
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = end_cut_short;
    sigaction(SIGBUS, &action, NULL);
}

int signals_caught(void) { return caught; }

void signals_block(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}
