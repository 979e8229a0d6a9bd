/* host/cpu/sampler_step.c - guidance and one row of the step table.
 *
 * The formulas of ops.h from left to right, each product and each sum rounded to f32: the build
 * says -ffp-contract=off, so none are joined. A history plane whose coefficient is 0 is not read,
 * for it may never have been written. */
#include "host/base/philox.h"
#include "host/cpu/device.h"

static float eps_at(const struct sampler_step_args *a, size_t at)
{
    return a->dtype == DTYPE_F32 ? ((const float *)a->eps)[at]
                                 : bf16_to_f32(((const bf16 *)a->eps)[at]);
}

/* D at element `at` of image img; `total` elements lie between two parts. */
static float guided(const struct sampler_step_args *a, const struct step_row *row, size_t at,
                    size_t img, size_t total)
{
    const size_t last = (size_t)a->parts - 1;
    const float base = row->d_x * a->x[at];
    const float negative = base + row->d_e * eps_at(a, last * total + at);
    float d = negative;
    for (size_t part = 0; part < last; part++) {
        const float positive = base + row->d_e * eps_at(a, part * total + at);
        d += (positive - negative) * a->weight[part * (size_t)a->n + img];
    }
    return d;
}

static void step_element(const struct sampler_step_args *a, const struct step_row *row, size_t at)
{
    const size_t hw = (size_t)a->hw, c = (size_t)a->c, total = (size_t)a->n * hw * c;
    const size_t img = at / (hw * c), pixel = at / c % hw, ch = at % c;
    const float x = a->x[at], d = guided(a, row, at, img, total);

    float next = row->x_x * x + row->x_d * d;
    for (size_t j = 0; j < STEP_HISTORY; j++)
        if (row->x_h[j] != 0)
            next += row->x_h[j] * a->history[j * total + at];
    if (row->draw >= 0)
        next += row->noise *
                (a->noise ? a->noise[(size_t)row->draw * total + at]
                          : philox_normal(a->seed[img], (uint64_t)row->draw, ch * hw + pixel));

    if (row->h_slot >= 0)
        a->history[(size_t)row->h_slot * total + at] = row->h_x * x + row->h_d * d;
    a->x[at] = next;
    if (a->denoised)
        a->denoised[at] = d;
    if (a->input && a->dtype == DTYPE_F32)
        ((float *)a->input)[at] = next * row->c_in_next;
    else if (a->input)
        ((bf16 *)a->input)[at] = bf16_from_f32(next * row->c_in_next);
}

static status check(const struct sampler_step_args *a)
{
    if (a->n < 1 || a->hw < 1 || a->c < 1 || a->parts < 1)
        return status_fail(STATUS_BAD_SHAPE, "sampler_step: n=%d hw=%d c=%d parts=%d", a->n, a->hw,
                           a->c, a->parts);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "sampler_step: no variant for %s",
                           dtype_name(a->dtype));
    return STATUS_OK;
}

status cpu_sampler_step(struct ops *ops, const struct sampler_step_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    TRY(check(a));
    if (dev->planning)
        return STATUS_OK;

    const struct step_row *row = cpu_step(dev);
    if (row->h_slot >= STEP_HISTORY)
        return status_fail(STATUS_BAD_SHAPE, "sampler_step: history slot %d of %d", row->h_slot,
                           (int)STEP_HISTORY);
    const size_t total = (size_t)a->n * (size_t)a->hw * (size_t)a->c;
    cpu_op_begin(dev, "sampler_step", 0, (double)total * 4 * (3 + a->parts), "%dx%dx%d", a->n,
                 a->hw, a->c);
#pragma omp parallel for num_threads(dev->threads)
    for (size_t at = 0; at < total; at++)
        step_element(a, row, at);
    cpu_op_end(dev);
    cpu_step_advance(dev);
    return STATUS_OK;
}
