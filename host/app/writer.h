/* host/app/writer.h - pictures to files, in a thread beside the next picture. */
#ifndef HOST_APP_WRITER_H
#define HOST_APP_WRITER_H

#include "host/app/shot.h"

struct writer;

/* `folder` is lent and exists; null if every shot has a path. */
status writer_open(const char *folder, struct writer **out);

/* Takes the shot in; waits while two others are before it.
 * returns  what an earlier shot failed with: nothing more is written then */
status writer_put(struct writer *writer, struct shot *shot);

/* Waits until nothing waits, so that no file is written beside what comes next. */
void writer_settle(struct writer *writer);

/* Waits until all is written. returns what a shot failed with; null is fine */
status writer_close(struct writer *writer);

#endif
