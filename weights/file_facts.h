/* weights/file_facts.h - one line about each file, kept between runs by path, size and time. */
#ifndef WEIGHTS_FILE_FACTS_H
#define WEIGHTS_FILE_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

struct file_facts;

struct file_stamp {
    uint64_t bytes;
    int64_t seconds; /* of the last change */
    long nanoseconds;
};

/* Size and time of a regular file, links followed.
 * returns  STATUS_IO  it is not there, not readable or not a regular file */
status file_stamp_of(const char *path, struct file_stamp *out);
int file_stamp_same(const struct file_stamp *a, const struct file_stamp *b);

/* Facts are kept in DIR/NAME; dir null: in memory alone. Damage there, and a folder that cannot be
 * written, lose facts and are no error. Safe from several threads and processes at once. */
status file_facts_open(const char *dir, const char *name, struct file_facts **out);
void file_facts_close(struct file_facts *facts); /* null is fine; does not save */

/* 1, and the text, if something is known about the file with this stamp; paths are absolute. */
int file_facts_get(struct file_facts *facts, const char *path, const struct file_stamp *stamp,
                   char *text, size_t cap);

/* Remembers a text without tabs and line ends; another, or an absurdly long one, is not kept. */
void file_facts_put(struct file_facts *facts, const char *path, const struct file_stamp *stamp,
                    const char *text);

/* Merges what was put with what other processes wrote, and writes it whole or not at all. */
void file_facts_save(struct file_facts *facts);

#endif
