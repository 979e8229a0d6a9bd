/* tests/test_out_folder.c - picture numbers, alone and with other runs; the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/app/out_folder.h"
#include "host/app/say.h"
#include "host/app/writer.h"
#include "host/mikubench.h"

enum { RUNS = 4, EACH = 6 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "test_out.XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void check_next(const char *want)
{
    char *path;
    assert_int_equal(out_folder_next(folder, 7, &path), STATUS_OK);
    assert_string_equal(strrchr(path, '/') + 1, want);
    free(path);
}

static void touch(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(miku_file_write(path, "", 0), STATUS_OK);
}

static void the_number_is_one_more_than_the_largest(void **state)
{
    (void)state;
    check_next("00000-7.png");
    touch("00000-1.png");
    touch("sheet.png");
    touch("12 monkeys.png");
    check_next("00001-7.png");
    touch("00041.txt");
    check_next("00042-7.png");
    touch("123456-5.png");
    check_next("123457-7.png");
    touch("99999999999999999999999-5.png"); /* no number that counts */
    check_next("123457-7.png");
}

static struct shot *make_shot(uint64_t seed)
{
    struct shot *shot = calloc(1, sizeof *shot);
    *shot = (struct shot){ .width = 8, .height = 8, .rgb = calloc(192, 1), .seed = seed };
    return shot;
}

static int write_some(int run)
{
    struct writer *writer;
    struct shot *shots[EACH];
    int bad = writer_open(folder, &writer) != STATUS_OK;
    for (int i = 0; i < EACH && !bad; i++) {
        shots[i] = make_shot((uint64_t)run * EACH + (uint64_t)i);
        bad = writer_put(writer, shots[i]) != STATUS_OK;
    }
    bad = writer_close(writer) != STATUS_OK || bad;
    for (int i = 0; i < EACH && !bad; i++) {
        free(shots[i]->path);
        free(shots[i]);
    }
    return bad;
}

static void runs_at_once_never_share_a_number(void **state)
{
    (void)state;
    pid_t children[RUNS];
    for (int i = 0; i < RUNS; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(write_some(i));
    }
    for (int i = 0; i < RUNS; i++) {
        int how;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_int_equal(how, 0);
    }
    char command[192], line[32] = "";
    snprintf(command, sizeof command, "ls %s | grep -c '^0000[0-9]-\\|^0001[0-9]-\\|^0002[0-3]-'",
             folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    assert_int_equal(atoi(line), RUNS * EACH);
    snprintf(command, sizeof command, "ls %s | cut -c1-5 | sort -u | wc -l", folder);
    pipe = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    assert_int_equal(atoi(line), RUNS * EACH);
}

static void a_writer_that_fails_says_so_and_stops(void **state)
{
    (void)state;
    struct writer *writer;
    assert_int_equal(writer_open("no such folder", &writer), STATUS_OK);
    struct shot *shots[EACH];
    status result = STATUS_OK;
    int put = 0;
    while (put < EACH && result == STATUS_OK) {
        shots[put] = make_shot(1);
        result = writer_put(writer, shots[put++]);
    }
    assert_int_equal(result, STATUS_IO); /* two wait at most, so the third knows */
    assert_int_equal(writer_close(writer), STATUS_IO);
    assert_non_null(strstr(status_text(), "no such folder"));
    for (int i = 0; i < put; i++) {
        free(shots[i]->rgb);
        free(shots[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_number_is_one_more_than_the_largest, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(runs_at_once_never_share_a_number, make_folder,
                                        remove_folder),
        cmocka_unit_test(a_writer_that_fails_says_so_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
