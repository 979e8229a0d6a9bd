/* host/app/progress.c - a line on the terminal. */
#include "host/app/progress.h"

#include <stdio.h>

#include "host/app/say.h"
#include "host/base/clock.h"

enum { EVERY_MS = 100 };

void progress_begin(struct progress *progress, const char *label, int batch, double later_ms)
{
    *progress =
        (struct progress){ .label = label, .batch = batch < 1 ? 1 : batch, .later_ms = later_ms };
}

/* Steps of the batches before this one, of this one so far, and of all. */
static void count_steps(const struct progress *progress, const struct miku_progress *now, int *done,
                        int *all)
{
    const int batches = (now->pictures + progress->batch - 1) / progress->batch;
    *done = now->picture / progress->batch * now->steps + now->step;
    *all = batches * now->steps;
}

void progress_line(const struct progress *progress, const struct miku_progress *now,
                   double elapsed_ms, char *line, size_t cap)
{
    char where[96] = "", ahead[48] = "";
    int done, all;
    count_steps(progress, now, &done, &all);
    if (now->pictures > 1)
        snprintf(where, sizeof where, "picture %d of %d, ", now->picture + 1, now->pictures);
    if (done > 0 && elapsed_ms > 0) {
        const double left_ms = elapsed_ms / done * (all - done) + progress->later_ms;
        const long left = (long)(left_ms / 1000 + 0.5);
        snprintf(ahead, sizeof ahead, ", %ld:%02ld to go", left / 60, left % 60);
    }
    const char *gap = progress->label[0] == 0 ? "" : ": ";
    if (now->steps > 0)
        snprintf(line, cap, "%s%s%sstep %d of %d%s", progress->label, gap, where, now->step,
                 now->steps, ahead);
    else
        snprintf(line, cap, "%s%s%s%s", progress->label, gap, where, now->stage);
}

void progress_show(struct progress *progress, const struct miku_progress *now)
{
    char line[256];
    if (!say_has_progress())
        return;
    const double at = clock_now_ms();
    if (now->steps > 0 && !(progress->began_ms > 0))
        progress->began_ms = at;
    if (now->steps > 0 && at - progress->shown_ms < EVERY_MS && now->step < now->steps)
        return;
    progress->shown_ms = at;
    progress_line(progress, now, progress->began_ms > 0 ? at - progress->began_ms : 0, line,
                  sizeof line);
    say_progress(line);
}
