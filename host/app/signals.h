/* host/app/signals.h - SIGINT and SIGTERM ask the run to stop; a second one ends it at once.
 * SIGBUS, which a mapped file raises when it was cut short, ends it with a line. */
#ifndef HOST_APP_SIGNALS_H
#define HOST_APP_SIGNALS_H

void signals_catch(void);

int signals_caught(void); /* 0, or the signal's number */

/* For a thread that must never be the one to take a signal. */
void signals_block(void);

#endif
