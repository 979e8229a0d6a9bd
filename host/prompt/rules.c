/* host/prompt/rules.c - what each web UI version does with prompts. */
#include "host/prompt/prompt.h"

struct prompt_rules prompt_rules_of(const struct compat *compat)
{
    const int v16 = compat_at_least(compat, 1, 6);
    return (struct prompt_rules){
        .attention_spaces = v16,
        .schedule_spaces = v16,
        .schedule_point_fraction = v16,
        .schedule_empty_options = v16,
        .schedule_skip_zero = v16,
        .comma_backtrack = 20,
    };
}
