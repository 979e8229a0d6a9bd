/* host/base/status.h - what a call came to, and a line of text saying why. */
#ifndef HOST_BASE_STATUS_H
#define HOST_BASE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum status {
    STATUS_OK = 0,
    STATUS_MISUSE,      /* the caller asked for something that makes no sense: a flag, a range */
    STATUS_IO,          /* the operating system refused: open, read, write, rename */
    STATUS_NOT_FOUND,   /* a file, a name, a key is not there */
    STATUS_BAD_FILE,    /* a file's content is malformed */
    STATUS_WRONG_KIND,  /* a well-formed file of another kind than was wanted */
    STATUS_BAD_TEXT,    /* a prompt or infotext that cannot be used */
    STATUS_BAD_SHAPE,   /* an operator was given sizes it does not take */
    STATUS_UNSUPPORTED, /* understood, and not to be had here */
    STATUS_NO_MEMORY,   /* host or device memory; the text has the bytes asked for and left */
    STATUS_DEVICE,      /* the device failed or refused */
    STATUS_NOT_FINITE,  /* a result holds NaN or infinity */
    STATUS_CANCELLED    /* the caller's cancel callback said stop */
} status;

/* Keeps one line of printf-formatted text for this thread and returns `code`. Control characters
 * in it are replaced, so that an untrusted name can be printed; at most 1,023 bytes are kept. */
status status_fail(status code, const char *format, ...)
#if defined __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Puts "prefix: " in front of the kept text (a file's name, say) and returns `code`. */
status status_prefix(status code, const char *format, ...)
#if defined __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* The line kept by this thread's last status_fail(); "" before the first. Lent until the next. */
const char *status_text(void);

/* A short name of the code, "bad file" say. */
const char *status_name(status code);

/* Returns early where there is nothing to undo. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const status try_code_ = (call);                                                           \
        if (try_code_ != STATUS_OK)                                                                \
            return try_code_;                                                                      \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
