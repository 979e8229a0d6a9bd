/* tests/ref/ref_sampler_step.c - the definition, in double. */
#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

void ref_sampler_step(const struct sampler_step_args *a, const struct step_row *row, double *x,
                      double *history, double *denoised, double *input)
{
    const size_t per = (size_t)a->hw * (size_t)a->c, total = (size_t)a->n * per;

    for (size_t at = 0; at < total; at++) {
        const size_t img = at / per, p = at % per / (size_t)a->c, ch = at % (size_t)a->c;
        const size_t last = (size_t)a->parts - 1;
        const double negative =
            row->d_x * x[at] + row->d_e * value(a->eps, a->dtype, last * total + at);
        double d = negative;
        for (size_t part = 0; part < last; part++) {
            const double positive =
                row->d_x * x[at] + row->d_e * value(a->eps, a->dtype, part * total + at);
            d += (positive - negative) * a->weight[part * (size_t)a->n + img];
        }

        double next = row->x_x * x[at] + row->x_d * d;
        for (size_t j = 0; j < STEP_HISTORY; j++)
            if (row->x_h[j] != 0)
                next += row->x_h[j] * history[j * total + at];
        if (row->draw >= 0)
            next += row->noise * (a->noise ? (double)a->noise[(size_t)row->draw * total + at]
                                           : ref_normal(a->seed[img], (uint64_t)row->draw,
                                                        ch * (size_t)a->hw + p));

        if (row->h_slot >= 0)
            history[(size_t)row->h_slot * total + at] = row->h_x * x[at] + row->h_d * d;
        x[at] = next;
        denoised[at] = d;
        input[at] = next * row->c_in_next;
    }
}
