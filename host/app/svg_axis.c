/* host/app/svg_axis.c - axes of plots. Positions are percentages: a plot takes the width it is
 * given, and its text stays as large as the page's. */
#include "host/app/svg_axis.h"

#include <math.h>

static double round_step(double least)
{
    const double ten = pow(10, floor(log10(least)));
    const double times = least / ten;
    return ten * (times <= 1.0001 ? 1 : times <= 2.0001 ? 2 : times <= 5.0001 ? 5 : 10);
}

static void add_ticks(struct svg_axis *axis, double step)
{
    const double first = ceil(axis->low / step - 1e-6), last = floor(axis->high / step + 1e-6);
    for (double k = first; k <= last && axis->ticks < SVG_TICKS_MOST; k++)
        axis->tick[axis->ticks++] = k * step;
}

struct svg_axis svg_axis_linear(double low, double high, int most)
{
    struct svg_axis axis = { .low = 0, .high = 1 };
    if (!isfinite(low) || !isfinite(high) || fabs(low) > 1e15 || fabs(high) > 1e15 || !(high > low))
        low = 0, high = 1;
    const double step = round_step((high - low) / most);
    axis.low = floor(low / step + 1e-6) * step;
    axis.high = ceil(high / step - 1e-6) * step;
    add_ticks(&axis, step);
    return axis;
}

struct svg_axis svg_axis_counting(int first, int last, int most)
{
    struct svg_axis axis = { .low = first, .high = last };
    add_ticks(&axis, last > first ? fmax(1, round_step((double)(last - first) / most)) : 1);
    if (last <= first) /* the one value in the middle */
        axis.low = first - 1, axis.high = first + 1;
    return axis;
}

struct svg_axis svg_axis_decades(double low, double high)
{
    struct svg_axis axis = { .low = 1, .high = 10, .logarithmic = 1 };
    if (low > 0 && high >= low && isfinite(high)) {
        axis.low = pow(10, floor(log10(low) + 1e-9));
        axis.high = pow(10, ceil(log10(high) - 1e-9));
    }
    if (!(axis.high > axis.low))
        axis.high = axis.low * 10;
    for (double at = axis.low; at <= axis.high * 1.01 && axis.ticks < SVG_TICKS_MOST; at *= 10)
        axis.tick[axis.ticks++] = at;
    return axis;
}

double svg_axis_at(const struct svg_axis *axis, double value)
{
    const double share = axis->logarithmic ? log(value / axis->low) / log(axis->high / axis->low)
                                           : (value - axis->low) / (axis->high - axis->low);
    return !(share > 0) ? 0 : share > 1 ? 100 : 100 * share;
}

void svg_axis_label(struct html *page, double value)
{
    static const struct {
        double from;
        const char *letter;
    } large[] = { { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } };
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        if (fabs(value) >= large[i].from * 0.9999) {
            html_put(page, "%.6g%s", value / large[i].from, large[i].letter);
            return;
        }
    html_put(page, "%.6g", fabs(value) < 1e-12 ? 0 : value);
}

void svg_axis_draw_x(struct html *page, const struct svg_axis *axis, int lines)
{
    for (int i = 0; i < axis->ticks; i++) {
        const double at = svg_axis_at(axis, axis->tick[i]);
        if (lines)
            html_put(page,
                     "<line class=\"grid\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>", at,
                     at);
        html_put(page,
                 "<text class=\"tick\" text-anchor=\"middle\" x=\"%.2f%%\" y=\"100%%\" dy=\"18\">",
                 at);
        svg_axis_label(page, axis->tick[i]);
        html_put(page, "</text>");
    }
}

void svg_axis_draw_y(struct html *page, const struct svg_axis *axis)
{
    for (int i = 0; i < axis->ticks; i++) {
        const double at = 100 - svg_axis_at(axis, axis->tick[i]);
        html_put(
            page,
            "<line class=\"grid\" x1=\"0\" x2=\"100%%\" y1=\"%.2f%%\" y2=\"%.2f%%\"/>"
            "<text class=\"tick\" text-anchor=\"end\" x=\"0\" y=\"%.2f%%\" dx=\"-8\" dy=\"4\">",
            at, at, at);
        svg_axis_label(page, axis->tick[i]);
        html_put(page, "</text>");
    }
}
