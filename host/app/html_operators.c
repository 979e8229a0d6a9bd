/* host/app/html_operators.c - what each operator took, against what the device reaches. */
#include <math.h>

#include "host/app/document.h"
#include "host/app/html_page.h"

static const cJSON *rows_of(const cJSON *configuration)
{
    const cJSON *rows = document_at(document_at(configuration, "operators"), "rows");
    return cJSON_IsArray(rows) && rows->child != NULL ? rows : NULL;
}

static void put_cell(struct html *html, const char *class, double value)
{
    html_put(html, "<td%s>", class);
    html_number(html, value);
    html_put(html, "</td>");
}

static void put_percent(struct html *html, double share)
{
    if (!isfinite(share)) {
        html_put(html, "<td>\u2013</td>");
        return;
    }
    html_put(html, "<td>%.*f\u00a0%%</td>", share < 0.0995 ? 1 : 0, 100 * share);
}

/* number 0: a shape below its operator */
static void put_row(struct html *html, const cJSON *work, int number, double largest)
{
    const double share = document_number(work, "share");
    if (number > 0)
        html_put(html, "<tr><td class=\"key\">%d</td><th scope=\"row\">", number);
    else
        html_put(html, "<tr class=\"shape\"><td></td><th scope=\"row\">");
    html_text(html, document_text(work, number > 0 ? "name" : "shape"));
    html_put(html, "</th>");
    html_put(html, "<td class=\"wide\">%.0f</td>", document_number(work, "count"));
    put_cell(html, "", document_number(work, "total_ms"));
    put_percent(html, share);
    html_put(
        html,
        "<td class=\"wide meter\"><svg aria-hidden=\"true\"><rect class=\"f3\" width=\"%.2f%%\" "
        "height=\"100%%\"/>"
        "</svg></td>",
        share > 0 && largest > 0 ? 100 * fmin(share / largest, 1) : 0);
    put_cell(html, " class=\"wide\"", document_number(work, "flops") / 1e9);
    put_cell(html, " class=\"wide\"", document_number(work, "bytes") / 1e9);
    put_cell(html, " class=\"wide\"", document_number(work, "gflops"));
    put_cell(html, " class=\"wide\"", document_number(work, "gbytes"));
    put_percent(html, document_number(work, "of_ceiling"));
    const char *bound = document_text(work, "bound");
    html_put(html, "<td class=\"wide\">");
    html_text(html, bound);
    html_put(html, "</td></tr>\n");
}

static void put_table(struct html *html, const cJSON *rows)
{
    const cJSON *row, *shape;
    const double largest = document_number(rows->child, "share");
    int number = 0;
    html_put(
        html,
        "<div class=\"scroll\"><table class=\"operators\">\n<thead><tr><th></th><th "
        "scope=\"col\">operator</th>"
        "<th scope=\"col\" class=\"wide\">calls</th><th scope=\"col\">ms</th>"
        "<th scope=\"col\">share</th><th class=\"wide\"></th>"
        "<th scope=\"col\" class=\"wide\">GFLOP</th><th scope=\"col\" class=\"wide\">GB</th>"
        "<th scope=\"col\" class=\"wide\">GFLOP/s</th><th scope=\"col\" class=\"wide\">GB/s</th>"
        "<th scope=\"col\">of ceiling</th><th scope=\"col\" class=\"wide\">bound "
        "by</th></tr></thead>\n<tbody>\n");
    cJSON_ArrayForEach(row, rows) { put_row(html, row, ++number, largest); }
    html_put(
        html,
        "</tbody></table></div>\n<details><summary>The shapes that took the most time</summary>"
        "<div class=\"scroll\"><table class=\"operators\"><tbody>\n");
    number = 0;
    cJSON_ArrayForEach(row, rows)
    {
        put_row(html, row, ++number, largest);
        cJSON_ArrayForEach(shape, document_at(row, "shapes")) { put_row(html, shape, 0, largest); }
    }
    html_put(html, "</tbody></table></div></details>\n");
}

/* What the spans themselves cost is the distance of the two. */
static void put_pass(struct page *page, const cJSON *configuration)
{
    const cJSON *operators = document_at(configuration, "operators");
    struct html *html = &page->html;
    html_put(html, "<p class=\"note\">From a run of its own, with a clock around every operator: ");
    html_time(html, document_number(operators, "covered_ms"));
    html_put(html, " of ");
    html_time(html, document_number(operators, "picture_ms"));
    html_put(html, " are within operators. Arithmetic and bytes are counted, not measured: the "
                   "direct algorithm's, each "
                   "operand once; a better algorithm or a cache can pass the ceiling.</p>\n");
}

static void put_configuration(struct page *page, const cJSON *configuration, int first)
{
    struct html *html = &page->html;
    html_put(html, "<details class=\"operators\"%s><summary>", first ? " open" : "");
    page_name(page, configuration);
    html_put(html, "</summary>\n");
    svg_roofline(html, configuration);
    put_table(html, rows_of(configuration));
    put_pass(page, configuration);
    html_put(html, "</details>\n");
}

void page_operators(struct page *page)
{
    const cJSON *configuration;
    int shown = 0;
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        if (rows_of(configuration) == NULL)
            continue;
        if (shown == 0)
            html_put(&page->html, "<section>\n<h2>Operators against the ceiling</h2>\n");
        put_configuration(page, configuration, shown++ == 0);
    }
    if (shown > 0)
        html_put(&page->html, "</section>\n");
}
