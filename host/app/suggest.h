/* host/app/suggest.h - which known word an unknown one was meant to be. */
#ifndef HOST_APP_SUGGEST_H
#define HOST_APP_SUGGEST_H

/* Letters to add, drop, change or swap with a neighbour to make one of the other; words longer
 * than 63 letters are far from everything. */
int suggest_distance(const char *a, const char *b);

#endif
