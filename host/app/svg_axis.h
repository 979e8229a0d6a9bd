/* host/app/svg_axis.h - where a value lies on an axis, and what is written beside it. */
#ifndef HOST_APP_SVG_AXIS_H
#define HOST_APP_SVG_AXIS_H

#include "host/app/html.h"

enum { SVG_TICKS_MOST = 16 };

struct svg_axis {
    double low, high; /* the ends */
    int logarithmic;
    double tick[SVG_TICKS_MOST];
    int ticks;
};

/* Ends at round numbers around low .. high, with at most `most` intervals of 1, 2 or 5 times a
 * power of ten. Nothing or nonsense becomes 0 .. 1. */
struct svg_axis svg_axis_linear(double low, double high, int most);

/* Whole numbers first .. last: the ends are theirs, ticks are round. */
struct svg_axis svg_axis_counting(int first, int last, int most);

/* Ends at powers of ten around low .. high, which are above 0; a tick each. */
struct svg_axis svg_axis_decades(double low, double high);

/* Percent of the axis's length, 0 at low; clipped to it. */
double svg_axis_at(const struct svg_axis *axis, double value);

/* A tick's label: 0.5, 20, 1k, 2M. */
void svg_axis_label(struct html *page, double value);

/* Grid lines with labels below (x) and to the left (y) of a plot that fills its svg; both are drawn
 * into the svg's margin, so that text keeps its size whatever the width. */
void svg_axis_draw_x(struct html *page, const struct svg_axis *axis, int lines);
void svg_axis_draw_y(struct html *page, const struct svg_axis *axis);

#endif
