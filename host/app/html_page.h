/* host/app/html_page.h - the sections of the report, for html_report.c. */
#ifndef HOST_APP_HTML_PAGE_H
#define HOST_APP_HTML_PAGE_H

#include <cjson/cJSON.h>

#include "host/app/html.h"

/* What distinguishes one configuration from another is in its name; what is the same for all is
 * not. */
enum { PAGE_DEVICE = 1, PAGE_PRECISION = 2, PAGE_SIZE = 4, PAGE_BATCH = 8 };

struct page {
    struct html html;
    const cJSON *document, *environment, *pictures, *configurations;
    unsigned varies;
    int labels_differ; /* each configuration's label is its own: a sweep's say all of it */
};

/* "case 2", "case 2 · bf16 · batch 4", escaped. */
void page_name(struct page *page, const cJSON *configuration);

/* Whether anything was measured. */
int page_measured(const cJSON *configuration);

/* Each is one <section>, or nothing if the document has nothing for it. */
void page_pictures(struct page *page);  /* html_pictures.c */
void page_stages(struct page *page);    /* html_stages.c */
void page_steps(struct page *page);     /* html_steps.c */
void page_operators(struct page *page); /* html_operators.c */
void page_results(struct page *page);   /* html_results.c */
void page_machine(struct page *page);   /* html_machine.c */
void page_again(struct page *page);

/* The plot of a configuration's operators under its ceilings. svg_roofline.c */
void svg_roofline(struct html *html, const cJSON *configuration);

enum { HTML_STYLES = 2 };
extern const char *const html_styles[HTML_STYLES]; /* html_style.c */

#endif
