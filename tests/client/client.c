/* tests/client/client.c - the library from outside: one picture, its size printed. */
#include <host/mikubench.h>
#include <stdio.h>

static status show(void *user, const struct miku_picture *picture)
{
    (void)user;
    return printf("%dx%d\n", picture->width, picture->height) > 0 ? STATUS_OK : STATUS_IO;
}

int main(int argc, char **argv)
{
    struct miku *miku;
    struct miku_request request = miku_request_default();
    request.prompt = "hatsune miku", request.steps = 2, request.width = 128, request.height = 192;
    status result = miku_open(&(struct miku_options){ .weights = (const char *const *)argv + 1,
                                                      .weights_count = argc > 1 },
                              &miku);
    if (result == STATUS_OK)
        result = miku_generate(miku, &request, &(struct miku_callbacks){ .picture = show });
    if (result != STATUS_OK)
        return fprintf(stderr, "%s\n", status_text()), 1;
    miku_close(miku);
    return 0;
}
