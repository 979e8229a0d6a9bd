/* host/app/out_folder.c - numbering pictures, with other runs in the same folder. */
#include "host/app/out_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

status out_folder_enter(const char *folder, int *hold)
{
    *hold = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*hold < 0)
        return status_fail(STATUS_IO, "%s: %s", folder, strerror(errno));
    while (flock(*hold, LOCK_EX) != 0 && errno == EINTR)
        ;
    return STATUS_OK;
}

void out_folder_leave(int hold)
{
    if (hold >= 0)
        close(hold); /* lets the lock go */
}

/* The number that a name begins with, up to "-" or "."; -1 if there is none. */
static long long leading_number(const char *name)
{
    const size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits > 18 || (name[digits] != '-' && name[digits] != '.'))
        return -1;
    return strtoll(name, NULL, 10);
}

status out_folder_next(const char *folder, uint64_t seed, char **path)
{
    *path = NULL;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return status_fail(STATUS_IO, "%s: %s", folder, strerror(errno));
    long long largest = -1;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const long long number = leading_number(entry->d_name);
        largest = number > largest ? number : largest;
    }
    closedir(dir);
    const size_t bytes = strlen(folder) + 64;
    *path = malloc(bytes);
    if (*path == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for a name", folder);
    snprintf(*path, bytes, "%s/%05lld-%" PRIu64 ".png", folder, largest + 1, seed);
    return STATUS_OK;
}
