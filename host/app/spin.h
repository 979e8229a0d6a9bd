/* host/app/spin.h - how long OpenMP's idle threads spin. */
#ifndef HOST_APP_SPIN_H
#define HOST_APP_SPIN_H

/* Starts the program again, once, with a small GOMP_SPINCOUNT, which libgomp reads before main().
 *
 * Left alone a thread spins for 300,000 turns at the end of each parallel loop. On a busy machine
 * it so spends its time slice waiting for a thread that waits for one: case 2 on the embedded set
 * took 70 s at a load of 13 on 2 cores, and 5 s with 1,000 turns; on an idle machine 0.6 s either
 * way. Returns if the environment says how long to spin, or the system refuses. */
void spin_briefly(char **argv);

#endif
