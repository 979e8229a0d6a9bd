/* host/app/html_machine.c - what it ran on, with which weights, and how to run it again. */
#include <math.h>
#include <string.h>

#include "host/app/document.h"
#include "host/app/html_page.h"

static void begin_term(struct html *html, const char *name)
{
    html_put(html, "<div><dt>%s</dt><dd>", name);
}

static void end_term(struct html *html) { html_put(html, "</dd></div>\n"); }

static void put_term(struct html *html, const char *name, const char *value)
{
    if (value == NULL || value[0] == 0)
        return;
    begin_term(html, name);
    html_text(html, value);
    end_term(html);
}

/* ---- the machine ------------------------------------------------------------------------- */

static void put_cpu(struct html *html, const cJSON *environment)
{
    const cJSON *cpu = document_at(environment, "cpu"),
                *memory = document_at(environment, "memory");
    begin_term(html, "CPU");
    html_text(html, document_text(cpu, "model"));
    html_put(html, ", %.0f logical CPUs", document_number(cpu, "logical"));
    end_term(html);
    put_term(html, "Governor", document_text(cpu, "governor"));
    begin_term(html, "Memory");
    html_size(html, document_number(memory, "total_bytes"));
    html_put(html, ", ");
    html_size(html, document_number(memory, "available_bytes"));
    html_put(html, " free at the start");
    end_term(html);
}

static void put_reading(struct html *html, const char *when, const cJSON *reading)
{
    const cJSON *reason, *throttle = document_at(reading, "throttle");
    const double watts = document_number(reading, "power_w");
    html_put(html, "<br>%s: ", when);
    html_number(html, document_number(reading, "sm_mhz"));
    html_put(html, " MHz, memory ");
    html_number(html, document_number(reading, "memory_mhz"));
    html_put(html, " MHz, ");
    html_number(html, document_number(reading, "temperature_c"));
    html_put(html, " \u00b0C");
    if (isfinite(watts)) {
        html_put(html, ", ");
        html_number(html, watts);
        html_put(html, " W");
    }
    cJSON_ArrayForEach(reason, throttle)
    {
        html_put(html, ", clocks held back: ");
        html_text(html, cJSON_GetStringValue(reason));
    }
}

static void put_gpus(struct html *html, const cJSON *environment)
{
    const cJSON *gpu;
    cJSON_ArrayForEach(gpu, document_at(environment, "gpus"))
    {
        begin_term(html, document_flag(gpu, "used") ? "GPU" : "GPU, not used");
        html_text(html, document_text(gpu, "name"));
        html_put(html, ", ");
        html_size(html, document_number(gpu, "memory_bytes"));
        html_put(html, ", driver ");
        html_text(html, document_text(gpu, "driver"));
        put_reading(html, "before", document_at(gpu, "before"));
        put_reading(html, "after", document_at(gpu, "after"));
        end_term(html);
    }
    put_term(html, "GPU", document_text(environment, "gpus_reason"));
}

static void put_build(struct html *html, const cJSON *environment)
{
    const cJSON *build = document_at(environment, "build"),
                *system = document_at(environment, "system");
    const cJSON *library;
    int count = 0;
    begin_term(html, "System");
    html_text(html, document_text(system, "name"));
    html_put(html, " ");
    html_text(html, document_text(system, "release"));
    html_put(html, ", ");
    html_text(html, document_text(system, "machine"));
    end_term(html);
    begin_term(html, "Build");
    html_text(html, document_text(build, "compiler"));
    html_put(html, ", ");
    html_text(html, document_text(build, "type"));
    const char *arch = document_text(build, "arch");
    if (arch != NULL && arch[0] != 0) {
        html_put(html, ", -march=");
        html_text(html, arch);
    }
    end_term(html);
    begin_term(html, "Libraries");
    cJSON_ArrayForEach(library, document_at(environment, "libraries"))
    {
        if (count++ > 0)
            html_put(html, ", ");
        html_text(html, library->string);
        html_put(html, "\u00a0");
        html_text(html, cJSON_GetStringValue(library));
    }
    end_term(html);
}

void page_machine(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *environment = page->environment;
    html_put(html, "<section>\n<h2>The machine</h2>\n<dl class=\"facts\">\n");
    put_cpu(html, environment);
    put_gpus(html, environment);
    put_build(html, environment);
    html_put(html, "</dl>\n</section>\n");
}

/* ---- weights ----------------------------------------------------------------------------- */

static int listed_before(const cJSON *configurations, const cJSON *weights)
{
    const cJSON *configuration, *other;
    cJSON_ArrayForEach(configuration, configurations)
    {
        cJSON_ArrayForEach(other, document_at(configuration, "weights"))
        {
            if (other == weights)
                return 0;
            if (cJSON_Compare(document_at(other, "path"), document_at(weights, "path"), 1))
                return 1;
        }
    }
    return 0;
}

static void put_weights(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *configuration, *weights;
    html_put(html, "<h3>Weights</h3>\n<dl class=\"facts\">\n");
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        cJSON_ArrayForEach(weights, document_at(configuration, "weights"))
        {
            const char *hash = document_text(weights, "sha256");
            if (listed_before(page->configurations, weights))
                continue;
            html_put(html, "<div><dt>");
            html_text(html, document_text(weights, "role"));
            html_put(html, "</dt><dd>");
            html_text(html, document_text(weights, "name"));
            html_put(html, "%s<br><code>", document_flag(weights, "stand_in") ? " (stand-in)" : "");
            html_text(html, hash != NULL && hash[0] != 0 ? hash : "no hash could be had");
            html_put(html, "</code></dd></div>\n");
        }
    }
    html_put(html, "</dl>\n");
}

/* ---- how to reproduce -------------------------------------------------------------------- */

/* As a shell takes it. */
static void put_argument(struct html *html, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    if (word[0] != 0 && word[strspn(word, plain)] == 0) {
        html_text(html, word);
        return;
    }
    html_text(html, "'");
    for (const char *at = word; *at != 0;) {
        char part[128];
        const size_t run = strcspn(at, "'");
        const size_t taken = run < sizeof part ? run : sizeof part - 1;
        memcpy(part, at, taken);
        part[taken] = 0;
        html_text(html, part);
        at += taken;
        if (*at == '\'' && taken == run) {
            html_text(html, "'\\''");
            at++;
        }
    }
    html_text(html, "'");
}

static void put_command(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *word;
    const char *commit = document_text(page->environment, "commit");
    html_put(html, "<pre>");
    if (commit != NULL) {
        html_put(html, "git checkout ");
        html_text(html, commit);
        html_put(html, "%s\n",
                 document_flag(page->environment, "dirty")
                     ? "  # and changes that were not committed"
                     : "");
    }
    int count = 0;
    cJSON_ArrayForEach(word, document_at(page->environment, "command"))
    {
        if (count++ > 0)
            html_put(html, " ");
        if (cJSON_IsString(word))
            put_argument(html, word->valuestring);
    }
    html_put(html, "</pre>\n");
}

static void put_hashes(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *picture;
    html_put(
        html,
        "<details><summary>SHA-256 of the pictures' RGB rows</summary>\n<dl class=\"facts\">\n");
    cJSON_ArrayForEach(picture, page->pictures)
    {
        const double place = document_number(picture, "configuration");
        html_put(html, "<div><dt>");
        if (place >= 0 && place < 1e6)
            page_name(page, cJSON_GetArrayItem(page->configurations, (int)place));
        if (document_number(picture, "of") > 1)
            html_put(html, ", %.0f", document_number(picture, "index") + 1);
        html_put(html, "</dt><dd><code>");
        html_text(html, document_text(picture, "rgb_sha256"));
        html_put(html, "</code></dd></div>\n");
    }
    html_put(html, "</dl></details>\n");
}

void page_again(struct page *page)
{
    struct html *html = &page->html;
    html_put(html, "<section>\n<h2>Run it again</h2>\n");
    put_command(page);
    html_put(html, "<p>The same request, weights, device and precision make the same bytes. "
                   "<code>mikubench-cuda --compare A.json B.json</code> says whether two runs "
                   "differ in speed by more than "
                   "their spread.</p>\n");
    put_weights(page);
    put_hashes(page);
    html_put(html, "</section>\n");
}
