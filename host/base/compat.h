/* host/base/compat.h - which web UI version's behaviour is wanted. */
#ifndef HOST_BASE_COMPAT_H
#define HOST_BASE_COMPAT_H

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* v1.7.0-225-gabcdef01 is { 1, 7, 0, 225 }. */
struct compat {
    int major, minor, patch;
    int commits; /* after the tag, as git describe counts them; 0 mostly */
};

enum { COMPAT_LATEST_MAJOR = 1, COMPAT_LATEST_MINOR = 8 };

/* Reads "1.6", "v1.6.0", "v1.0.0-pre", "v1.7.0-225-g89f9faa6", the tail of "f2.0.1v1.10.1-...", or
 * "latest" (1.8.0). Null, "" and "auto" are 1.1.1: what an infotext without Version stands for.
 * returns  STATUS_MISUSE for any other text; *out is then 1.1.1 */
status compat_parse(const char *text, struct compat *out);

int compat_at_least(const struct compat *compat, int major, int minor);

/* Finer, for changes between tags: 1.7.0 and 225 commits, say. */
int compat_at_least_commit(const struct compat *compat, int major, int minor, int patch,
                           int commits);

#ifdef __cplusplus
}
#endif

#endif
