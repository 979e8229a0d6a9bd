/* weights/pickle_machine.c - see pickle_machine.h. */
#include "weights/pickle_machine.h"

#include <string.h>

/* ---- reading ------------------------------------------------------------------------- */

status machine_take(struct machine *m, size_t count, const unsigned char **out)
{
    *out = NULL;
    if (count > (size_t)(m->end - m->at))
        return status_fail(STATUS_BAD_FILE, "the pickle is cut short at byte %zu",
                           (size_t)(m->at - m->begin));
    *out = m->at;
    m->at += count;
    return STATUS_OK;
}

status machine_take_number(struct machine *m, size_t bytes, uint64_t *out)
{
    const unsigned char *at;
    TRY(machine_take(m, bytes, &at));
    *out = 0;
    for (size_t i = bytes; i-- > 0;)
        *out = *out << 8 | at[i];
    return STATUS_OK;
}

status machine_take_line(struct machine *m, const char **line, size_t *length)
{
    *line = NULL;
    *length = 0;
    const unsigned char *feed = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (feed == NULL)
        return status_fail(STATUS_BAD_FILE, "the pickle is cut short at byte %zu",
                           (size_t)(m->at - m->begin));
    *line = (const char *)m->at;
    *length = (size_t)(feed - m->at);
    m->at = feed + 1;
    return STATUS_OK;
}

/* ---- stack and memo ------------------------------------------------------------------ */

status machine_push(struct machine *m, struct pickle_value *value)
{
    return pickle_append(m->heap, m->stack, &value, 1);
}

size_t machine_floor(const struct machine *m)
{
    return m->mark_count == 0 ? 0 : m->marks[m->mark_count - 1];
}

status machine_need(const struct machine *m, size_t count)
{
    if (m->stack->items.count - machine_floor(m) < count)
        return status_fail(STATUS_BAD_FILE, "the pickle takes from an empty stack at byte %zu",
                           (size_t)(m->at - m->begin));
    return STATUS_OK;
}

struct pickle_value *machine_top(const struct machine *m)
{
    return m->stack->items.at[m->stack->items.count - 1];
}

status machine_pop(struct machine *m, struct pickle_value **out)
{
    TRY(machine_need(m, 1));
    *out = m->stack->items.at[--m->stack->items.count];
    return STATUS_OK;
}

status machine_push_mark(struct machine *m)
{
    if (m->mark_count == m->mark_cap) {
        const size_t cap = m->mark_cap == 0 ? 64 : 2 * m->mark_cap;
        void *grown;
        TRY(pickle_take(m->heap, cap * sizeof *m->marks, &grown));
        if (m->mark_count > 0)
            memcpy(grown, m->marks, m->mark_count * sizeof *m->marks);
        m->marks = grown;
        m->mark_cap = cap;
    }
    m->marks[m->mark_count++] = m->stack->items.count;
    return STATUS_OK;
}

status machine_pop_to_mark(struct machine *m, struct pickle_value *const **items, size_t *count)
{
    *items = NULL;
    *count = 0;
    if (m->mark_count == 0)
        return status_fail(STATUS_BAD_FILE, "the pickle looks for a mark that is not there");
    const size_t height = m->marks[--m->mark_count];
    *items = m->stack->items.at == NULL ? NULL : m->stack->items.at + height;
    *count = m->stack->items.count - height;
    m->stack->items.count = height;
    return STATUS_OK;
}

/* An index beyond the pickle's own length cannot come from a pickler: each entry takes a byte. */
status machine_memo_put(struct machine *m, uint64_t index)
{
    TRY(machine_need(m, 1));
    if (index > (uint64_t)(m->end - m->begin))
        return status_fail(STATUS_BAD_FILE, "the pickle's memo index %ju is out of all proportion",
                           (uintmax_t)index);
    struct pickle_value *none = NULL;
    while (m->memo->items.count <= index)
        TRY(pickle_append(m->heap, m->memo, &none, 1));
    m->memo->items.at[index] = machine_top(m);
    return STATUS_OK;
}

status machine_memo_get(struct machine *m, uint64_t index)
{
    if (index >= m->memo->items.count || m->memo->items.at[index] == NULL)
        return status_fail(STATUS_BAD_FILE,
                           "the pickle asks for memo entry %ju, which is not there",
                           (uintmax_t)index);
    return machine_push(m, m->memo->items.at[index]);
}

status machine_take_index(struct machine *m, uint64_t *out)
{
    const char *line;
    size_t length;
    TRY(machine_take_line(m, &line, &length));
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (line[i] < '0' || line[i] > '9' || *out > UINT32_MAX)
            return status_fail(STATUS_BAD_FILE, "the pickle's memo index is no number");
        *out = *out * 10 + (uint64_t)(line[i] - '0');
    }
    return STATUS_OK;
}
