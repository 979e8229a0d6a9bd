/* host/app/budget.h - how many runs a time for everything allows.
 *
 * What is left of the time is shared evenly among the configurations that are not begun, so that
 * the first does not eat it all; what one leaves over goes to the next. */
#ifndef HOST_APP_BUDGET_H
#define HOST_APP_BUDGET_H

#include <stddef.h>

struct budget {
    int limited;
    double end_ms, share_end_ms; /* of everything; of the configuration that is running */
    double last_ms;              /* its last run took */
    size_t left;                 /* configurations not begun */
};

/* seconds 0: no limit. Times are those of clock_now_ms(). */
void budget_open(struct budget *budget, double began_ms, double seconds, size_t configurations);

/* The next configuration. returns 0 if the time is spent: it is left out */
int budget_begin(struct budget *budget, double now_ms);

/* A run took this long. */
void budget_took(struct budget *budget, double ms);

/* Whether `runs` more, each as long as the last, would end within the configuration's share. Before
 * its first run nothing is known, and it is allowed. */
int budget_allows(const struct budget *budget, double now_ms, int runs);

#endif
