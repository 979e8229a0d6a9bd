/* host/app/html_stages.c - where the time went: a bar a configuration, and the same as a table. */
#include <math.h>

#include "host/app/document.h"
#include "host/app/html_page.h"

static const char *const stages[] = { "load", "fuse", "encode", "sample", "decode", "write" };

enum { STAGES = sizeof stages / sizeof stages[0] };

static const cJSON *stage_of(const cJSON *configuration, int stage)
{
    return document_at(document_at(configuration, "stages"), stages[stage]);
}

/* 0 if it did not happen. */
static double stage_ms(const cJSON *configuration, int stage)
{
    const double ms = document_number(stage_of(configuration, stage), "median");
    return ms > 0 ? ms : 0;
}

static double total_ms(const cJSON *configuration)
{
    double total = 0;
    for (int i = 0; i < STAGES; i++)
        total += stage_ms(configuration, i);
    return total;
}

/* ---- bars -------------------------------------------------------------------------------- */

static void put_legend(struct page *page)
{
    html_put(&page->html, "<ul class=\"legend\">");
    for (int i = 0; i < STAGES; i++)
        html_put(&page->html,
                 "<li><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect class=\"f%d\" "
                 "width=\"12\" "
                 "height=\"12\" rx=\"2\"/></svg>%s</li>",
                 i, stages[i]);
    html_put(&page->html, "</ul>\n");
}

/* Segments stand in the order they happen, in percent of the longest bar. */
static void put_bar(struct page *page, const cJSON *configuration, double longest)
{
    struct html *html = &page->html;
    double at = 0;
    html_put(html, "<div class=\"bar\"><p>");
    page_name(page, configuration);
    html_put(html, " <span>");
    html_time(html, total_ms(configuration));
    html_put(html,
             "</span></p>\n<svg class=\"bars\" role=\"img\" aria-label=\"times of the stages\">");
    for (int i = 0; i < STAGES; i++) {
        const double ms = stage_ms(configuration, i), width = 100 * ms / longest;
        if (!(ms > 0))
            continue;
        html_put(
            html,
            "<rect class=\"seg f%d\" x=\"%.3f%%\" width=\"%.3f%%\" height=\"100%%\"><title>%s ", i,
            at, width, stages[i]);
        html_time(html, ms);
        html_put(html, "</title></rect>");
        at += width;
    }
    html_put(html, "</svg></div>\n");
}

static void put_bars(struct page *page)
{
    const cJSON *configuration;
    double longest = 0;
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        longest = fmax(longest, total_ms(configuration));
    }
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        if (total_ms(configuration) > 0)
            put_bar(page, configuration, longest);
    }
}

/* ---- the table --------------------------------------------------------------------------- */

static void put_cell(struct html *html, const cJSON *series, enum html_unit unit)
{
    const double low = document_number(series, "p10"), high = document_number(series, "p90");
    html_put(html, "<td>");
    html_number(html, html_in_unit(document_number(series, "median"), unit));
    if (isfinite(low) && high > low) {
        html_put(html, "<small>");
        html_number(html, html_in_unit(low, unit));
        html_put(html, "\u2013");
        html_number(html, html_in_unit(high, unit));
        html_put(html, "</small>");
    }
    html_put(html, "</td>");
}

static void put_table(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *configuration;
    double longest = 0;
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        longest = fmax(longest, total_ms(configuration));
    }
    const enum html_unit unit = html_time_unit(longest);
    html_put(html, "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">%s</th>",
             html_unit_name(unit));
    for (int i = 0; i < STAGES; i++)
        html_put(html, "<th scope=\"col\">%s</th>", stages[i]);
    html_put(html, "</tr></thead>\n<tbody>\n");
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        if (!page_measured(configuration))
            continue;
        html_put(html, "<tr><th scope=\"row\">");
        page_name(page, configuration);
        html_put(html, "</th>");
        for (int i = 0; i < STAGES; i++)
            put_cell(html, stage_of(configuration, i), unit);
        html_put(html, "</tr>\n");
    }
    html_put(html, "</tbody></table></div>\n");
}

void page_stages(struct page *page)
{
    const cJSON *configuration;
    int any = 0;
    cJSON_ArrayForEach(configuration, page->configurations) { any |= total_ms(configuration) > 0; }
    if (!any)
        return;
    html_put(&page->html, "<section>\n<h2>Where the time went</h2>\n");
    put_legend(page);
    put_bars(page);
    html_put(
        &page->html,
        "<p class=\"note\">Medians, with the 10th to the 90th percentile below them. Encoding, "
        "sampling and decoding are a batch's; weights are loaded and fused once, where they are "
        "first needed; writing is of one picture and goes on beside the next one's work.</p>\n");
    put_table(page);
    html_put(&page->html, "</section>\n");
}
