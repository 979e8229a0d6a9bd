/* host/app/svg_roofline.c - operators by arithmetic intensity and rate, under the two ceilings that
 * were measured on the same device: a large matrix product, a large copy.
 *
 * source  Williams, Waterman & Patterson 2009, "Roofline" */
#include <math.h>

#include "host/app/document.h"
#include "host/app/html_page.h"
#include "host/app/svg_axis.h"

struct point {
    double intensity, rate, share; /* flop/byte, 10^9 flop/s, 0 to 1 */
};

/* 0 if it has no place: no arithmetic, no bytes or no time. */
static int point_of(const cJSON *work, struct point *point)
{
    const double bytes = document_number(work, "bytes");
    *point = (struct point){ .intensity = document_number(work, "flops") / bytes,
                             .rate = document_number(work, "gflops"),
                             .share = document_number(work, "share") };
    return bytes > 0 && point->intensity > 0 && isfinite(point->intensity) && point->rate > 0;
}

struct frame {
    struct svg_axis x, y;
    double matrix, copy; /* ceilings, 10^9 flop/s and bytes/s */
};

/* The axes hold all points and the ridge, where the two ceilings meet. */
static struct frame frame_of(const cJSON *rows, const cJSON *ceiling)
{
    const cJSON *row;
    struct point point;
    struct frame frame = { .matrix = document_number(ceiling, "matrix_gflops"),
                           .copy = document_number(ceiling, "copy_gbytes") };
    double x_low = INFINITY, x_high = 0, y_low = INFINITY, y_high = 0;
    if (frame.matrix > 0 && frame.copy > 0) {
        x_low = x_high = frame.matrix / frame.copy;
        y_high = y_low = frame.matrix;
    }
    cJSON_ArrayForEach(row, rows)
    {
        if (!point_of(row, &point))
            continue;
        x_low = fmin(x_low, point.intensity);
        x_high = fmax(x_high, point.intensity);
        y_low = fmin(y_low, point.rate);
        y_high = fmax(y_high, point.rate);
    }
    frame.x = svg_axis_decades(x_low, x_high * 1.3);
    frame.y = svg_axis_decades(y_low, y_high * 1.3);
    return frame;
}

static void put_line(struct html *html, const struct frame *frame, const double from[2],
                     const double to[2])
{
    html_put(html, "<line class=\"roof\" x1=\"%.2f%%\" y1=\"%.2f%%\" x2=\"%.2f%%\" y2=\"%.2f%%\"/>",
             svg_axis_at(&frame->x, from[0]), 100 - svg_axis_at(&frame->y, from[1]),
             svg_axis_at(&frame->x, to[0]), 100 - svg_axis_at(&frame->y, to[1]));
}

/* The slope begins where it comes into the frame. */
static void put_roof(struct html *html, const struct frame *frame)
{
    if (!(frame->matrix > 0) || !(frame->copy > 0))
        return;
    const double ridge = frame->matrix / frame->copy;
    const double left = fmax(frame->x.low, frame->y.low / frame->copy);
    const double foot[2] = { left, left * frame->copy }, top[2] = { ridge, frame->matrix },
                 end[2] = { frame->x.high, frame->matrix };
    put_line(html, frame, foot, top);
    put_line(html, frame, top, end);
    html_put(html,
             "<text class=\"roof\" text-anchor=\"end\" x=\"100%%\" y=\"%.2f%%\" dx=\"-4\" "
             "dy=\"-24\">matrix product ",
             100 - svg_axis_at(&frame->y, frame->matrix));
    html_number(html, frame->matrix);
    const double middle = sqrt(foot[0] * top[0]);
    html_put(
        html,
        " GFLOP/s</text><text class=\"roof\" x=\"%.2f%%\" y=\"%.2f%%\" dx=\"10\" dy=\"12\">copy ",
        svg_axis_at(&frame->x, middle), 100 - svg_axis_at(&frame->y, middle * frame->copy));
    html_number(html, frame->copy);
    html_put(html, " GB/s</text>");
}

/* Largest first, so that small ones lie on top; numbers are those of the table. */
static void put_points(struct html *html, const struct frame *frame, const cJSON *rows)
{
    const cJSON *row;
    struct point point;
    int number = 0;
    cJSON_ArrayForEach(row, rows)
    {
        number++;
        if (!point_of(row, &point))
            continue;
        const double x = svg_axis_at(&frame->x, point.intensity),
                     y = 100 - svg_axis_at(&frame->y, point.rate),
                     r = 8 + 12 * sqrt(point.share > 0 ? fmin(point.share, 1) : 0);
        const char *bound = document_text(row, "bound");
        const int memory = bound != NULL && bound[0] == 'm';
        html_put(html,
                 "<g class=\"%s\"><circle cx=\"%.2f%%\" cy=\"%.2f%%\" r=\"%.1f\"/><text "
                 "x=\"%.2f%%\" y=\"%.2f%%\" "
                 "dy=\"4\">%d</text><title>",
                 memory ? "memory" : "compute", x, y, r, x, y, number);
        html_text(html, document_text(row, "name"));
        html_put(html, ": ");
        html_number(html, point.rate);
        html_put(html, " GFLOP/s at ");
        html_number(html, point.intensity);
        html_put(html, " FLOP/B</title></g>");
    }
}

void svg_roofline(struct html *html, const cJSON *configuration)
{
    const cJSON *rows = document_at(document_at(configuration, "operators"), "rows");
    const struct frame frame = frame_of(rows, document_at(configuration, "ceiling"));
    html_put(html, "<div class=\"plot tall\"><svg role=\"img\" aria-label=\"roofline: rate by "
                   "arithmetic intensity\">");
    svg_axis_draw_y(html, &frame.y);
    svg_axis_draw_x(html, &frame.x, 1);
    put_roof(html, &frame);
    put_points(html, &frame, rows);
    html_put(html, "<text class=\"unit\" text-anchor=\"start\" x=\"0\" y=\"0\" dx=\"-40\" "
                   "dy=\"-14\">GFLOP/s reached</text>"
                   "<text class=\"unit\" text-anchor=\"end\" x=\"100%%\" y=\"100%%\" "
                   "dy=\"36\">FLOP per byte</text>"
                   "</svg></div>\n<ul class=\"legend\"><li><svg width=\"12\" height=\"12\" "
                   "aria-hidden=\"true\"><circle "
                   "class=\"compute\" cx=\"6\" cy=\"6\" r=\"6\"/></svg>bound by "
                   "arithmetic</li><li><svg width=\"12\" "
                   "height=\"12\" aria-hidden=\"true\"><circle class=\"memory\" cx=\"6\" cy=\"6\" "
                   "r=\"6\"/></svg>bound by "
                   "memory</li><li>numbers as in the table; area grows with the share</li></ul>\n");
}
