/* host/app/perf_control.c - two words into a FIFO.
 * source  perf-record(1), --control */
#include "host/app/perf_control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

status perf_control_open(const char *path, int *fd)
{
    struct stat found;
    *fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return status_fail(STATUS_IO, "%s: %s", path,
                           errno == ENXIO ? "no perf record --control reads it" : strerror(errno));
    if (fstat(*fd, &found) == 0 && S_ISFIFO(found.st_mode)) {
        signal(SIGPIPE, SIG_IGN); /* perf may end before this program does */
        return STATUS_OK;
    }
    perf_control_close(*fd);
    *fd = -1;
    return status_fail(STATUS_IO, "%s: no FIFO", path);
}

void perf_control_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

int perf_control(int fd, int enable)
{
    const char *word = enable ? "enable\n" : "disable\n";
    return write(fd, word, strlen(word)) == (ssize_t)strlen(word) ? 0 : -1;
}
