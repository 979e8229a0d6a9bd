/* host/app/spin.c - the program started again with a variable set. */
#include "host/app/spin.h"

#include <stdlib.h>
#include <unistd.h>

void spin_briefly(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL)
        return;
    char *program = realpath("/proc/self/exe", NULL);
    if (program != NULL && setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv(program, argv); /* comes back only where it failed */
    free(program);
}
