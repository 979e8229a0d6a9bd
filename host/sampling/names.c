/* host/sampling/names.c - samplers by name. See sampler.h. */
#include <stdio.h>
#include <string.h>

#include "host/base/near_names.h"
#include "host/sampling/sampler.h"

static const struct entry {
    struct sampler sampler;
    const char *alias[2];
} entries[] = {
    { { "Euler a", SAMPLER_EULER_A, 0, 0, 1 }, { "k_euler_a", "k_euler_ancestral" } },
    { { "Euler", SAMPLER_EULER, 0, 0, 0 }, { "k_euler" } },
    { { "LMS", SAMPLER_LMS, 0, 0, 0 }, { "k_lms" } },
    { { "Heun", SAMPLER_HEUN, 0, 0, 0 }, { "k_heun" } },
    { { "DPM2", SAMPLER_DPM2, 0, 1, 0 }, { "k_dpm_2" } },
    { { "DPM2 a", SAMPLER_DPM2_A, 0, 1, 1 }, { "k_dpm_2_a" } },
    { { "DPM++ 2S a", SAMPLER_DPMPP_2S_A, 0, 0, 1 }, { "k_dpmpp_2s_a" } },
    { { "DPM++ 2M", SAMPLER_DPMPP_2M, 0, 0, 0 }, { "k_dpmpp_2m" } },
    { { "LMS Karras", SAMPLER_LMS, 1, 0, 0 }, { "k_lms_ka" } },
    { { "DPM2 Karras", SAMPLER_DPM2, 1, 1, 0 }, { "k_dpm_2_ka" } },
    { { "DPM2 a Karras", SAMPLER_DPM2_A, 1, 1, 1 }, { "k_dpm_2_a_ka" } },
    { { "DPM++ 2S a Karras", SAMPLER_DPMPP_2S_A, 1, 0, 1 }, { "k_dpmpp_2s_a_ka" } },
    { { "DPM++ 2M Karras", SAMPLER_DPMPP_2M, 1, 0, 0 }, { "k_dpmpp_2m_ka" } },
    { { "DDIM", SAMPLER_DDIM, 0, 0, 0 }, { "ddim" } },
    /* Not in the web UI's list of the time, but of the same making. */
    { { "Euler a Karras", SAMPLER_EULER_A, 1, 0, 1 }, { "k_euler_a_ka" } },
    { { "Euler Karras", SAMPLER_EULER, 1, 0, 0 }, { "k_euler_ka" } },
    { { "Heun Karras", SAMPLER_HEUN, 1, 0, 0 }, { "k_heun_ka" } },
};

enum { ENTRIES = sizeof entries / sizeof entries[0] };

const struct sampler *sampler_at(size_t i) { return i < ENTRIES ? &entries[i].sampler : NULL; }

/* ASCII, whatever the locale. */
static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

static int same(const char *a, const char *b)
{
    while (*a != '\0' && lower((unsigned char)*a) == lower((unsigned char)*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

/* The nearest names; where none is near, all that there are. */
static status not_found(const char *name)
{
    struct near_names near = { .count = 0 };
    char text[400] = "; those known, most of them with Karras too";
    size_t used = strlen(text);
    for (int i = 0; i < ENTRIES; i++)
        near_names_offer(&near, name, entries[i].sampler.name);
    if (near.count > 0)
        near_names_text(&near, text, sizeof text);
    for (int i = 0; i < ENTRIES && near.count == 0; i++)
        if (!entries[i].sampler.karras)
            used +=
                (size_t)snprintf(text + used, sizeof text - used, ", %s", entries[i].sampler.name);
    return status_fail(STATUS_NOT_FOUND, "no sampler \"%.100s\"%s", name, text);
}

status sampler_find(const char *name, const struct sampler **out)
{
    *out = NULL;
    for (int i = 0; i < ENTRIES; i++) {
        int found = same(name, entries[i].sampler.name);
        for (int j = 0; j < 2 && entries[i].alias[j] != NULL; j++)
            found |= same(name, entries[i].alias[j]);
        if (found) {
            *out = &entries[i].sampler;
            return STATUS_OK;
        }
    }
    return not_found(name);
}

/* source  webui sd_samplers_kdiffusion.py, samplers_k_diffusion, "second_order": since 1.1; plain
 *         DPM2 and DPM2 a have the mark since 1.6 */
int sampler_timeline(const struct sampler *sampler, const struct compat *compat)
{
    if (compat == NULL || !compat_at_least(compat, 1, 1))
        return 1;
    switch (sampler->kind) {
    case SAMPLER_HEUN:
    case SAMPLER_DPMPP_2S_A:
        return 2;
    case SAMPLER_DPM2:
    case SAMPLER_DPM2_A:
        return sampler->karras || compat_at_least(compat, 1, 6) ? 2 : 1;
    default:
        return 1;
    }
}
