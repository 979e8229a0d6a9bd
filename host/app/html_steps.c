/* host/app/html_steps.c - the time of each step, a line with its spread. */
#include <math.h>
#include <stdlib.h>

#include "host/app/document.h"
#include "host/app/html_page.h"
#include "host/app/svg_axis.h"

struct line { /* of one configuration, ms */
    double *median, *p10, *p90;
    size_t steps;
    double low, high;
    int spread; /* the band is there */
};

static void line_free(struct line *line)
{
    free(line->median);
    free(line->p10);
    free(line->p90);
}

/* Lists of unequal length are shortened to the shortest. */
static status read_line(const cJSON *configuration, struct line *line)
{
    const cJSON *step = document_at(configuration, "step");
    size_t low_count = 0, high_count = 0;
    *line = (struct line){ .low = INFINITY, .high = -INFINITY };
    status result = document_values(document_at(step, "median"), &line->median, &line->steps);
    if (result == STATUS_OK)
        result = document_values(document_at(step, "p10"), &line->p10, &low_count);
    if (result == STATUS_OK)
        result = document_values(document_at(step, "p90"), &line->p90, &high_count);
    if (result != STATUS_OK) {
        line_free(line);
        return result;
    }
    if (low_count < line->steps || high_count < line->steps)
        line->steps = low_count < high_count ? low_count : high_count;
    for (size_t i = 0; i < line->steps; i++) {
        line->low = fmin(line->low, line->p10[i]);
        line->high = fmax(line->high, line->p90[i]);
        line->spread |= line->p90[i] > line->p10[i];
    }
    return STATUS_OK;
}

/* Noise of one percent is no mountain: an axis spans a fifth of its values at least, and begins at
 * 0 if the values come down to half of the largest. */
static struct svg_axis axis_of(double low, double high)
{
    const double most = high, least = 0.2 * high;
    if (low < most / 2)
        return svg_axis_linear(0, most, 5);
    const double more = fmax(0, least - (high - low)) / 2;
    return svg_axis_linear(low - more, high + more, 5);
}

/* Points of the inner svg, which is 1000 by 1000 and is stretched. */
static void put_points(struct html *html, const struct line *line, const double *value,
                       const struct svg_axis *y, enum html_unit unit, int backwards)
{
    for (size_t k = 0; k < line->steps; k++) {
        const size_t i = backwards ? line->steps - 1 - k : k;
        const double x = line->steps > 1 ? 1000.0 * (double)i / (double)(line->steps - 1) : 500;
        html_put(html, "%.1f,%.1f ", x, 1000 - 10 * svg_axis_at(y, html_in_unit(value[i], unit)));
    }
}

static void put_plot(struct page *page, const cJSON *configuration, const struct line *line)
{
    struct html *html = &page->html;
    const enum html_unit unit = line->high >= 2000 ? HTML_S : HTML_MS;
    const struct svg_axis y =
        axis_of(html_in_unit(line->low, unit), html_in_unit(line->high, unit));
    const struct svg_axis x = svg_axis_counting(1, (int)line->steps, 5);
    html_put(html, "<figure class=\"chart\"><figcaption>");
    page_name(page, configuration);
    html_put(html, "</figcaption>\n<div class=\"plot\"><svg role=\"img\" aria-label=\"time of each "
                   "step\">");
    svg_axis_draw_y(html, &y);
    svg_axis_draw_x(html, &x, 0);
    html_put(html, "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">");
    if (line->spread) {
        html_put(html, "<polygon class=\"band\" points=\"");
        put_points(html, line, line->p90, &y, unit, 0);
        put_points(html, line, line->p10, &y, unit, 1);
        html_put(html, "\"/>");
    }
    html_put(html, "<polyline class=\"line\" points=\"");
    put_points(html, line, line->median, &y, unit, 0);
    html_put(html, "\"/></svg>");
    if (line->steps == 1)
        html_put(html, "<circle class=\"dot\" cx=\"50%%\" cy=\"%.2f%%\" r=\"3\"/>",
                 100 - svg_axis_at(&y, html_in_unit(line->median[0], unit)));
    html_put(
        html,
        "<text class=\"unit\" text-anchor=\"end\" x=\"0\" y=\"0\" dx=\"-8\" dy=\"-12\">%s</text>"
        "<text class=\"unit\" text-anchor=\"end\" x=\"100%%\" y=\"100%%\" dy=\"34\">step</text>"
        "</svg></div></figure>\n",
        html_unit_name(unit));
}

void page_steps(struct page *page)
{
    const cJSON *configuration;
    int drawn = 0, spread = 0;
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        struct line line;
        if (read_line(configuration, &line) != STATUS_OK) {
            page->html.failed = 1;
            return;
        }
        if (line.steps > 0 && drawn++ == 0)
            html_put(&page->html, "<section>\n<h2>Step by step</h2>\n<div class=\"charts\">\n");
        if (line.steps > 0)
            put_plot(page, configuration, &line);
        spread |= line.spread;
        line_free(&line);
    }
    if (drawn == 0)
        return;
    html_put(
        &page->html, "</div>\n<p class=\"note\">%s Axes need not begin at 0.</p>\n</section>\n",
        spread ? "The line is the median over the runs, the band the 10th to the 90th percentile."
               : "One run: no spread is known.");
}
