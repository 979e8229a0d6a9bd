/* host/app/html_pictures.c - the pictures side by side, each with its parameters. */
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/document.h"
#include "host/app/html_page.h"
#include "host/app/text_file.h"
#include "host/mikubench.h"

enum { SHOWN_MOST = 24 }; /* half a megabyte each at full size */

/* ---- the file ---------------------------------------------------------------------------- */

static int is_hash(const char *wanted, const uint8_t *rgb, size_t bytes)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned length = 0;
    if (EVP_Digest(rgb, bytes, digest, &length, EVP_sha256(), NULL) != 1)
        return 0;
    for (unsigned i = 0; i < length; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    return strcmp(hex, wanted) == 0;
}

/* The bytes of the PNG, if it still is the picture; else why not. */
static const char *read_picture(const cJSON *picture, char **bytes, size_t *count)
{
    const char *path = document_text(picture, "file"), *hash = document_text(picture, "rgb_sha256");
    uint8_t *rgb = NULL;
    int width = 0, height = 0;
    *bytes = NULL;
    if (path == NULL || hash == NULL)
        return "was not written";
    if (miku_png_read(path, &rgb, &width, &height, NULL, NULL) != STATUS_OK)
        return "is not where it was written";
    const int right = is_hash(hash, rgb, (size_t)width * (size_t)height * 3);
    free(rgb);
    if (!right)
        return "was replaced by another one since";
    return text_file_read(path, bytes, count) == STATUS_OK ? NULL : "could not be read";
}

static void put_image(struct page *page, const cJSON *picture)
{
    struct html *html = &page->html;
    char *bytes;
    size_t count = 0;
    const double width = document_number(picture, "width"),
                 height = document_number(picture, "height");
    const char *why = read_picture(picture, &bytes, &count);
    if (why != NULL) {
        html_put(html, "<div class=\"missing\">The picture %s.</div>\n", why);
        return;
    }
    html_put(html, "<img width=\"%.0f\" height=\"%.0f\" alt=\"", width, height);
    html_text(html, document_text(document_at(picture, "request"), "prompt"));
    html_put(html, "\" src=\"data:image/png;base64,");
    html_base64(html, bytes, count);
    html_put(html, "\">\n");
    free(bytes);
}

/* ---- parameters -------------------------------------------------------------------------- */

static void put_term(struct html *html, const char *name, const char *value)
{
    if (value == NULL || value[0] == 0)
        return;
    html_put(html, "<div><dt>%s</dt><dd>", name);
    html_text(html, value);
    html_put(html, "</dd></div>");
}

static void put_term_number(struct html *html, const char *name, double value)
{
    if (isfinite(value))
        html_put(html, "<div><dt>%s</dt><dd>%.6g</dd></div>", name, value);
}

/* As the infotext writes it: beyond 2^53 a JSON number is not exact. */
static void put_seed(struct html *html, const cJSON *picture)
{
    const char *text = document_text(picture, "infotext"), *at = text, *last = NULL;
    while (at != NULL && (at = strstr(at, "Seed: ")) != NULL)
        last = at += strlen("Seed: ");
    const int digits = last == NULL ? 0 : (int)strspn(last, "0123456789");
    if (digits > 0 && digits <= 20)
        html_put(html, "<div><dt>Seed</dt><dd>%.*s</dd></div>", digits, last);
}

static void put_parameters(struct page *page, const cJSON *picture)
{
    struct html *html = &page->html;
    const cJSON *request = document_at(picture, "request");
    html_put(html, "<p class=\"prompt\">");
    html_text(html, document_text(request, "prompt"));
    html_put(html, "</p>\n<dl class=\"terms\">");
    put_term(html, "Negative", document_text(request, "negative_prompt"));
    put_term(html, "Model", document_text(request, "model"));
    put_term(html, "VAE", document_text(request, "vae"));
    put_term(html, "Sampler", document_text(request, "sampler"));
    put_term_number(html, "Steps", document_number(request, "steps"));
    put_term_number(html, "CFG scale", document_number(request, "cfg_scale"));
    put_seed(html, picture);
    html_put(html, "<div><dt>Size</dt><dd>%.0f\u00d7%.0f</dd></div>",
             document_number(picture, "width"), document_number(picture, "height"));
    put_term_number(html, "Clip skip", document_number(request, "clip_skip"));
    html_put(html, "</dl>\n<details><summary>Parameters as text</summary><pre>");
    html_text(html, document_text(picture, "infotext"));
    html_put(html, "</pre></details>\n");
}

/* ---- the cards --------------------------------------------------------------------------- */

static const cJSON *first_picture(const struct page *page, const cJSON *configuration)
{
    const cJSON *places = document_at(configuration, "pictures");
    const cJSON *place = cJSON_IsArray(places) ? places->child : NULL;
    return cJSON_IsNumber(place) && place->valuedouble >= 0
               ? cJSON_GetArrayItem(page->pictures, place->valueint)
               : NULL;
}

/* The clock `picture`, which is a batch's. */
static void put_time(struct page *page, const cJSON *configuration)
{
    struct html *html = &page->html;
    const double ms =
        document_number(document_at(document_at(configuration, "clocks"), "picture"), "median");
    const double rate = document_number(document_at(configuration, "steps_per_s"), "median");
    const double batch = document_number(configuration, "batch");
    if (!isfinite(ms))
        return;
    html_put(html, "<p class=\"time\"><b>");
    html_time(html, ms);
    html_put(html, "</b>");
    if (batch > 1)
        html_put(html, " for %.0f", batch);
    if (isfinite(rate)) {
        html_put(html, " <span>");
        html_number(html, rate);
        html_put(html, "\u00a0steps/s</span>");
    }
    html_put(html, "</p>\n");
}

static void put_card(struct page *page, const cJSON *configuration)
{
    struct html *html = &page->html;
    const cJSON *picture = first_picture(page, configuration);
    const char *error = document_text(configuration, "error");
    html_put(html, "<figure class=\"card\">\n");
    if (picture != NULL)
        put_image(page, picture);
    else
        html_put(html, "<div class=\"missing\">No picture was made.</div>\n");
    html_put(html, "<figcaption><h3>");
    page_name(page, configuration);
    html_put(html, "</h3>\n");
    if (document_flag(configuration, "stand_in"))
        html_put(html, "<p class=\"tag\">stand-in weights</p>\n");
    if (document_flag(configuration, "synthetic"))
        html_put(html, "<p class=\"tag\">random weights</p>\n");
    if (error != NULL) {
        html_put(html, "<p class=\"error\">");
        html_text(html, error);
        html_put(html, "</p>\n");
    }
    put_time(page, configuration);
    if (picture != NULL)
        put_parameters(page, picture);
    html_put(html, "</figcaption>\n</figure>\n");
}

void page_pictures(struct page *page)
{
    const cJSON *configuration;
    const int all = cJSON_GetArraySize(page->configurations);
    int shown = 0;
    if (all == 0)
        return;
    html_put(&page->html, "<section>\n<h2>Pictures</h2>\n<div class=\"cards\">\n");
    cJSON_ArrayForEach(configuration, page->configurations)
    {
        if (shown++ < SHOWN_MOST)
            put_card(page, configuration);
    }
    html_put(&page->html, "</div>\n");
    if (all > SHOWN_MOST)
        html_put(&page->html,
                 "<p class=\"note\">%d more configurations made pictures that are not shown.</p>\n",
                 all - SHOWN_MOST);
    html_put(&page->html, "</section>\n");
}
