/* host/pipeline/request.h - a request and its infotext, each from the other. */
#ifndef HOST_PIPELINE_REQUEST_H
#define HOST_PIPELINE_REQUEST_H

#include "host/base/compat.h"
#include "host/mikubench.h"
#include "host/sampling/sampler.h"

/* Whose behaviour the request asks for: its compat, else its version, else 1.1.1. */
status request_compat(const struct miku_request *request, struct compat *compat);

/* Ranges that need no weights: sizes, steps, counts, scales, clip skip.
 * returns  STATUS_MISUSE with the field, what it is and what it may be */
status request_check(const struct miku_request *request);

/* The request's sampler; `sampler` may be null. returns STATUS_NOT_FOUND, with the nearest names */
status request_sampler(const struct miku_request *request, const struct sampler **sampler);

/* The text that the web UI would have written for picture `k`. free(*text).
 * model, model_hash  of the checkpoint that ran: its name and ten digits */
status request_infotext(const struct miku_request *request, int k, const char *model,
                        const char *model_hash, char **text);

/* `text` in memory of its own; null if there is none to be had. */
char *text_copy(const char *text);

#endif
