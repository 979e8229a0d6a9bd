/* weights/pickle_machine.h - the pickle interpreter's input, stack and memo. */
#ifndef WEIGHTS_PICKLE_MACHINE_H
#define WEIGHTS_PICKLE_MACHINE_H

#include "weights/pickle_heap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct machine {
    struct pickle *heap;
    const unsigned char *begin, *at, *end;
    struct pickle_value *stack; /* a PICKLE_TUPLE: its items are the stack */
    struct pickle_value *memo;  /* likewise, by index; gaps are null */
    size_t *marks;              /* heights of the stack where MARK stood */
    size_t mark_count, mark_cap;
};

/* The next bytes of the program, as they are, as a little endian number, up to and without the next
 * line feed, or as a line of decimal digits. */
status machine_take(struct machine *m, size_t count, const unsigned char **out);
status machine_take_number(struct machine *m, size_t bytes, uint64_t *out);
status machine_take_line(struct machine *m, const char **line, size_t *length);
status machine_take_index(struct machine *m, uint64_t *out);

/* The stack is what lies above the last mark. machine_top() is for after a machine_need(). */
status machine_push(struct machine *m, struct pickle_value *value);
size_t machine_floor(const struct machine *m); /* height of the last mark */
status machine_need(const struct machine *m, size_t count);
struct pickle_value *machine_top(const struct machine *m);
status machine_pop(struct machine *m, struct pickle_value **out);

/* machine_pop_to_mark() takes everything above the last mark, and the mark. The items stay where
 * they are until the next push. */
status machine_push_mark(struct machine *m);
status machine_pop_to_mark(struct machine *m, struct pickle_value *const **items, size_t *count);

status machine_memo_put(struct machine *m, uint64_t index); /* the top of the stack */
status machine_memo_get(struct machine *m, uint64_t index); /* pushes it */

#ifdef __cplusplus
}
#endif

#endif
