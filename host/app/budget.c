/* host/app/budget.c - shares of the time that is left. */
#include "host/app/budget.h"

void budget_open(struct budget *budget, double began_ms, double seconds, size_t configurations)
{
    *budget = (struct budget){ .limited = seconds > 0,
                               .end_ms = began_ms + seconds * 1000,
                               .left = configurations };
}

int budget_begin(struct budget *budget, double now_ms)
{
    const size_t sharing = budget->left > 0 ? budget->left : 1;
    budget->left = sharing - 1;
    budget->last_ms = 0;
    budget->share_end_ms = now_ms + (budget->end_ms - now_ms) / (double)sharing;
    return !budget->limited || now_ms < budget->end_ms;
}

void budget_took(struct budget *budget, double ms) { budget->last_ms = ms; }

int budget_allows(const struct budget *budget, double now_ms, int runs)
{
    return !budget->limited || now_ms + runs * budget->last_ms <= budget->share_end_ms;
}
