/* host/app/html_report.c - the page from top to bottom. */
#include "host/app/html_report.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/document.h"
#include "host/app/html_page.h"
#include "host/app/text_file.h"
#include "host/mikubench.h"

/* ---- names ------------------------------------------------------------------------------- */

static int same(const cJSON *a, const cJSON *b, const char *key)
{
    return cJSON_Compare(document_at(a, key), document_at(b, key), 1);
}

static unsigned what_varies(const cJSON *configurations)
{
    const cJSON *c, *first = cJSON_IsArray(configurations) ? configurations->child : NULL;
    unsigned varies = 0;
    cJSON_ArrayForEach(c, configurations)
    {
        varies |= same(c, first, "device") ? 0 : PAGE_DEVICE;
        varies |= same(c, first, "precision") ? 0 : PAGE_PRECISION;
        varies |= same(c, first, "width") && same(c, first, "height") ? 0 : PAGE_SIZE;
        varies |= same(c, first, "batch") ? 0 : PAGE_BATCH;
    }
    return varies;
}

static int labels_differ(const cJSON *configurations)
{
    const cJSON *c, *other;
    cJSON_ArrayForEach(c, configurations)
    {
        const char *label = document_text(c, "label");
        if (label == NULL || label[0] == 0)
            return 0;
        cJSON_ArrayForEach(other, configurations)
        {
            if (other == c)
                break;
            if (same(c, other, "label"))
                return 0;
        }
    }
    return 1;
}

static void name_part(struct page *page, int *parts)
{
    if ((*parts)++ > 0)
        html_put(&page->html, " \u00b7 ");
}

void page_name(struct page *page, const cJSON *configuration)
{
    const char *label = document_text(configuration, "label");
    const unsigned varies = page->labels_differ ? 0 : page->varies;
    int parts = 0;
    if (label != NULL && label[0] != 0) {
        name_part(page, &parts);
        html_text(&page->html, label);
    }
    if (varies & PAGE_DEVICE) {
        name_part(page, &parts);
        html_text(&page->html, document_text(configuration, "device"));
    }
    if (varies & PAGE_PRECISION) {
        name_part(page, &parts);
        html_text(&page->html, document_text(configuration, "precision"));
    }
    if (varies & PAGE_SIZE) {
        name_part(page, &parts);
        html_put(&page->html, "%.0f\u00d7%.0f", document_number(configuration, "width"),
                 document_number(configuration, "height"));
    }
    if (varies & PAGE_BATCH) {
        name_part(page, &parts);
        html_put(&page->html, "batch %.0f", document_number(configuration, "batch"));
    }
    if (parts == 0)
        html_put(&page->html, "the picture");
}

int page_measured(const cJSON *configuration)
{
    return cJSON_IsObject(document_at(document_at(configuration, "clocks"), "picture"));
}

/* ---- the head ---------------------------------------------------------------------------- */

static void put_hash(struct html *html, const char *style)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    html->failed |= EVP_Digest(style, strlen(style), digest, &length, EVP_sha256(), NULL) != 1;
    html_put(html, " 'sha256-");
    html_base64(html, digest, length);
    html_put(html, "'");
}

/* Nothing may be asked for: neither by the page nor by what might slip into it. Pictures are in the
 * page; its own styles are allowed by their hashes. */
static void put_policy(struct html *html)
{
    html_put(html, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                   "img-src data:; base-uri 'none'; form-action 'none'; style-src");
    for (int i = 0; i < HTML_STYLES; i++)
        put_hash(html, html_styles[i]);
    html_put(html, "\">\n");
}

static void put_head(struct page *page)
{
    struct html *html = &page->html;
    html_put(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    put_policy(html);
    html_put(html, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta name=\"color-scheme\" content=\"light dark\">\n"
                   "<meta name=\"referrer\" content=\"no-referrer\">\n"
                   "<link rel=\"icon\" href=\"data:,\">\n"
                   "<title>Hatsune Miku image generation benchmark</title>\n");
    for (int i = 0; i < HTML_STYLES; i++)
        html_put(html, "<style>%s</style>\n", html_styles[i]);
    html_put(html, "</head>\n");
}

/* ---- the top ----------------------------------------------------------------------------- */

static int any_flag(const cJSON *configurations, const char *key)
{
    const cJSON *c;
    cJSON_ArrayForEach(c, configurations)
    {
        if (document_flag(c, key))
            return 1;
    }
    return 0;
}

/* What was measured on, from the first configuration that says so. */
static void put_device(struct page *page)
{
    const cJSON *c;
    cJSON_ArrayForEach(c, page->configurations)
    {
        const char *summary = document_text(c, "device_summary");
        if (summary == NULL || summary[0] == 0)
            continue;
        const char *precision = document_text(c, "precision");
        html_put(&page->html, "<p class=\"device\">");
        html_text(&page->html, summary);
        if (!(page->varies & PAGE_PRECISION) && precision != NULL) {
            html_put(&page->html, " \u00b7 ");
            html_text(&page->html, precision);
        }
        html_put(&page->html, "</p>\n");
        return;
    }
}

static void put_notice(struct html *html, const char *title, const char *text)
{
    html_put(html, "<p class=\"notice\"><strong>%s</strong> %s</p>\n", title, text);
}

/* What a reader has to know before a number is believed. */
static void put_notices(struct page *page)
{
    struct html *html = &page->html;
    const cJSON *out, *left_out = document_at(page->document, "left_out");
    const char *stopped = document_text(page->document, "stopped");
    if (any_flag(page->configurations, "stand_in"))
        put_notice(html, "Stand-in weights.",
                   "Small networks stand in for the real files under their names: the pictures are "
                   "their own, and the times say nothing about Stable Diffusion at its real size.");
    if (any_flag(page->configurations, "synthetic"))
        put_notice(html, "Random weights.",
                   "The networks have the real size and random values: the times are real, the "
                   "pictures are noise.");
    const char *sanitize = document_text(document_at(page->environment, "build"), "sanitize");
    if (sanitize != NULL && sanitize[0] != 0)
        put_notice(html, "Built with sanitizers.",
                   "They slow everything down: the times are worth nothing.");
    if (!document_flag(page->document, "partial"))
        return;
    html_put(html, "<div class=\"notice\"><p><strong>Partial.</strong> Not all that was asked for "
                   "was measured");
    if (stopped != NULL) {
        html_put(html, ": ");
        html_text(html, stopped);
    }
    html_put(html, ".</p>\n");
    if (cJSON_IsArray(left_out) && cJSON_GetArraySize(left_out) > 0) {
        html_put(html, "<ul>");
        cJSON_ArrayForEach(out, left_out)
        {
            html_put(html, "<li>");
            html_text(html, document_text(out, "key"));
            html_put(html, ": ");
            html_text(html, document_text(out, "reason"));
            html_put(html, "</li>");
        }
        html_put(html, "</ul>\n");
    }
    html_put(html, "</div>\n");
}

/* 2026-11-25T23:14:00Z without the seconds. */
static void put_date(struct html *html, const char *began)
{
    char day[11] = "", minute[6] = "";
    if (began == NULL || strlen(began) != strlen("2026-11-25T23:14:00Z"))
        return;
    memcpy(day, began, sizeof day - 1);
    memcpy(minute, began + sizeof day, sizeof minute - 1);
    html_put(html, " \u00b7 <time>");
    html_text(html, day);
    html_put(html, " ");
    html_text(html, minute);
    html_put(html, " UTC</time>");
}

static void put_top(struct page *page)
{
    struct html *html = &page->html;
    html_put(html, "<body>\n<header>\n<p class=\"eyebrow\">mikubench-cuda ");
    html_text(html, document_text(page->environment, "version"));
    put_date(html, document_text(page->environment, "began"));
    html_put(html, "</p>\n<h1>Hatsune Miku image generation benchmark</h1>\n");
    put_device(page);
    put_notices(page);
    html_put(html, "</header>\n<main>\n");
}

/* ---- the whole --------------------------------------------------------------------------- */

status html_report(const cJSON *document, char **text, size_t *bytes)
{
    struct page page = { .document = document,
                         .environment = document_at(document, "environment"),
                         .pictures = document_at(document, "pictures"),
                         .configurations = document_at(document, "configurations") };
    *text = NULL;
    TRY(html_open(&page.html));
    page.varies = what_varies(page.configurations);
    page.labels_differ = labels_differ(page.configurations);
    put_head(&page);
    put_top(&page);
    page_pictures(&page);
    page_stages(&page);
    page_steps(&page);
    page_operators(&page);
    page_results(&page);
    page_machine(&page);
    page_again(&page);
    html_put(&page.html, "</main>\n</body>\n</html>\n");
    return html_close(&page.html, text, bytes);
}

status html_report_write(const cJSON *document, const char *path)
{
    char *text;
    size_t bytes;
    TRY(html_report(document, &text, &bytes));
    const status result = miku_file_write(path, text, bytes);
    free(text);
    return result;
}

status html_report_from(const char *json, const char *path)
{
    cJSON *document;
    TRY(text_file_check_writable(path));
    TRY(document_read(json, &document));
    const status result = html_report_write(document, path);
    cJSON_Delete(document);
    return result;
}
