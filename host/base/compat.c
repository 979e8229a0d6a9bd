/* host/base/compat.c */
#include "host/base/compat.h"

#include <string.h>

static const struct compat without_version = { 1, 1, 1, 0 };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads digits at *at and moves behind them; 0 if there are none or too many. */
static int number_at(const char **at, int *out)
{
    const char *c = *at;
    *out = 0;
    for (; is_digit(*c); c++) {
        if (c - *at >= 6)
            return 0;
        *out = *out * 10 + (*c - '0');
    }
    const int found = c > *at;
    *at = c;
    return found;
}

/* "1.7.0-225-g89f9faa6", whole; "-RC", "-pre" and other names behind the numbers are passed over.
 */
static int version_at(const char *text, struct compat *out)
{
    struct compat found = { 0, 0, 0, 0 };
    if (!number_at(&text, &found.major) || *text++ != '.' || !number_at(&text, &found.minor))
        return 0;
    if (*text == '.' && is_digit(text[1])) {
        text++;
        if (!number_at(&text, &found.patch))
            return 0;
    }
    if (*text != '\0' && *text != '-' && *text != '+' && *text != ' ' && *text != '.')
        return 0;
    if (*text == '-' && is_digit(text[1])) {
        const char *commits = text + 1;
        int count;
        if (number_at(&commits, &count) && strncmp(commits, "-g", 2) == 0)
            found.commits = count;
    }
    *out = found;
    return 1;
}

status compat_parse(const char *text, struct compat *out)
{
    *out = without_version;
    if (text == NULL || *text == '\0' || strcmp(text, "auto") == 0)
        return STATUS_OK;
    if (strcmp(text, "latest") == 0) {
        *out = (struct compat){ COMPAT_LATEST_MAJOR, COMPAT_LATEST_MINOR, 0, 0 };
        return STATUS_OK;
    }
    const char *from = *text == 'v' ? text + 1 : text;
    if (version_at(from, out))
        return STATUS_OK;
    /* "f2.0.1v1.10.1-previous-...": a fork's version before the web UI's */
    const char *v = *text == 'f' && is_digit(text[1]) ? strchr(text, 'v') : NULL;
    if (v != NULL && version_at(v + 1, out))
        return STATUS_OK;
    return status_fail(STATUS_MISUSE, "version: \"%.40s\" is not one of the web UI's, \"1.6\" say",
                       text);
}

int compat_at_least_commit(const struct compat *compat, int major, int minor, int patch,
                           int commits)
{
    if (compat->major != major)
        return compat->major > major;
    if (compat->minor != minor)
        return compat->minor > minor;
    if (compat->patch != patch)
        return compat->patch > patch;
    return compat->commits >= commits;
}

int compat_at_least(const struct compat *compat, int major, int minor)
{
    return compat_at_least_commit(compat, major, minor, 0, 0);
}
