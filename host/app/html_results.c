/* host/app/html_results.c - the clocks of every configuration, with their spread. */
#include <math.h>

#include "host/app/document.h"
#include "host/app/html_page.h"

static const cJSON *clock_of(const cJSON *configuration, const char *name)
{
    return document_at(document_at(configuration, "clocks"), name);
}

static void put_spread(struct html *html, const cJSON *series)
{
    const double median = document_number(series, "median"), low = document_number(series, "p10"),
                 high = document_number(series, "p90");
    html_put(html, "<td>");
    html_time(html, median);
    if (high > low) {
        html_put(html, "<small>");
        html_time(html, low);
        html_put(html, " \u2013 ");
        html_time(html, high);
        html_put(html, "</small>");
    }
    html_put(html, "</td>");
}

/* Counted runs; fewer than were asked for are said to be. */
static void put_runs(struct html *html, const cJSON *configuration)
{
    const cJSON *runs = document_at(configuration, "runs");
    const double counted = document_number(runs, "counted"), asked = document_number(runs, "asked");
    const char *reason = document_text(runs, "reason");
    if (!isfinite(counted)) {
        html_put(html, "<td>\u2013</td>");
        return;
    }
    html_put(html, "<td>%.0f", counted);
    if (counted < asked) {
        html_put(html, " of %.0f<small>", asked);
        html_text(html, reason);
        html_put(html, "</small>");
    }
    html_put(html, "</td>");
}

/* Second half against the first, and how many values lie far off: neither is taken away. */
static void put_drift(struct html *html, const cJSON *configuration)
{
    const cJSON *all = document_at(document_at(configuration, "step"), "all");
    const double ratio = document_number(document_at(all, "drift"), "ratio");
    const cJSON *outliers = document_at(all, "outliers"), *values = document_at(all, "values");
    html_put(html, "<td>");
    if (isfinite(ratio))
        html_put(html, "%+.1f\u00a0%%", 100 * (ratio - 1));
    else
        html_put(html, "\u2013");
    html_put(html, "</td><td>");
    if (cJSON_IsArray(outliers) && cJSON_IsArray(values))
        html_put(html, "%d<small>of %d</small>", cJSON_GetArraySize(outliers),
                 cJSON_GetArraySize(values));
    else
        html_put(html, "\u2013");
    html_put(html, "</td>");
}

static void put_row(struct page *page, const cJSON *configuration)
{
    struct html *html = &page->html;
    const cJSON *memory = document_at(configuration, "memory");
    const double joules =
        document_number(document_at(configuration, "energy"), "joules_per_picture");
    html_put(html, "<tr><th scope=\"row\">");
    page_name(page, configuration);
    html_put(html, "</th>");
    put_runs(html, configuration);
    put_spread(html, clock_of(configuration, "picture"));
    put_spread(html, clock_of(configuration, "sampling"));
    html_put(html, "<td>");
    html_number(html, document_number(document_at(configuration, "steps_per_s"), "median"));
    html_put(html, "</td>");
    put_drift(html, configuration);
    put_spread(html, clock_of(configuration, "file"));
    put_spread(html, clock_of(configuration, "cold"));
    html_put(html, "<td>");
    html_size(html, document_number(memory, "device_peak_bytes"));
    html_put(html, "</td><td>");
    html_size(html, document_number(memory, "host_peak_bytes"));
    html_put(html, "</td><td>");
    html_number(html, joules);
    html_put(html, isfinite(joules) ? "\u00a0J</td></tr>\n" : "</td></tr>\n");
}

void page_results(struct page *page)
{
    const cJSON *configuration;
    int any = 0;
    cJSON_ArrayForEach(configuration, page->configurations) { any |= page_measured(configuration); }
    if (!any)
        return;
    html_put(
        &page->html,
        "<section>\n<h2>All clocks</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th "
        "scope=\"col\"></th>"
        "<th scope=\"col\">runs</th><th scope=\"col\">picture</th><th scope=\"col\">sampling</th>"
        "<th scope=\"col\">steps/s</th><th scope=\"col\">drift</th><th scope=\"col\">outliers</th>"
        "<th scope=\"col\">file</th><th scope=\"col\">cold</th><th scope=\"col\">device memory</th>"
        "<th scope=\"col\">process memory</th><th scope=\"col\">energy a "
        "picture</th></tr></thead>\n<tbody>\n");
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        if (page_measured(configuration))
            put_row(page, configuration);
    }
    html_put(
        &page->html,
        "</tbody></table></div>\n<dl class=\"words\">"
        "<div><dt>picture</dt><dd>from the request to 8-bit RGB in memory, weights "
        "loaded</dd></div>"
        "<div><dt>sampling</dt><dd>first step to last</dd></div>"
        "<div><dt>file</dt><dd>RGB in memory to the PNG on disk</dd></div>"
        "<div><dt>cold</dt><dd>start of the program to its first PNG</dd></div>"
        "<div><dt>drift</dt><dd>median step of the second half of the run against the "
        "first</dd></div>"
        "<div><dt>outliers</dt><dd>steps far from the median; they stay in every number</dd></div>"
        "</dl>\n</section>\n");
}
