/* tests/test_machine.c - NVML through a fake library, energy counters through a fake folder, and
 * what is written of both. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/app/energy.h"
#include "host/app/machine.h"

static struct nvml *open_fake(const char *library)
{
    struct nvml *nvml = NULL;
    assert_int_equal(nvml_open(library, &nvml), STATUS_OK);
    return nvml;
}

static void cards_are_read_through_the_driver_s_library(void **state)
{
    (void)state;
    struct nvml *nvml = open_fake(FAKE_NVML);
    assert_int_equal(nvml_count(nvml), 2);
    assert_string_equal(nvml_driver(nvml), "999.1");
    const struct nvml_card card = nvml_card(nvml, 0), silent = nvml_card(nvml, 1);
    assert_string_equal(card.name, "Fake Card 0");
    assert_string_equal(card.uuid, "GPU-0");
    assert_string_equal(card.bus_id, "00000000:3B:00.0");
    assert_true(card.memory_bytes == 80.0 * (1 << 30));
    assert_string_equal(silent.uuid, "");
    assert_true(isnan(silent.memory_bytes));

    const struct nvml_reading now = nvml_read(nvml, 0), none = nvml_read(nvml, 1);
    assert_true(now.sm_mhz == 1980 && now.memory_mhz == 2619 && now.temperature_c == 61);
    assert_true(fabs(now.power_w - 345.6) < 1e-9);
    assert_true(now.has_throttle && now.throttle == (0x24 | 1ull << 40));
    assert_true(isnan(none.sm_mhz) && isnan(none.power_w) && isnan(none.energy_j));
    assert_true(none.temperature_c == 61 && !none.has_throttle);
    nvml_close(nvml);
}

static void an_address_finds_its_card(void **state)
{
    (void)state;
    struct nvml *nvml = open_fake(FAKE_NVML);
    assert_int_equal(nvml_find(nvml, "00000000:3B:00.0"), 0);
    assert_int_equal(nvml_find(nvml, "0000:3c:00.0"), 1); /* as CUDA writes it */
    assert_int_equal(nvml_find(nvml, "0000:3d:00.0"), -1);
    assert_int_equal(nvml_find(nvml, "1000:3b:00.0"), -1);
    assert_int_equal(nvml_find(nvml, NULL), -1);
    nvml_close(nvml);
}

static void an_older_driver_says_less(void **state)
{
    (void)state;
    struct nvml *nvml = open_fake(FAKE_NVML_OLD);
    const struct nvml_reading now = nvml_read(nvml, 0);
    assert_true(now.has_throttle && now.throttle == (0x24 | 1ull << 40));
    assert_true(isnan(now.energy_j));
    nvml_close(nvml);
}

static void where_there_is_none_the_reason_is_said(void **state)
{
    (void)state;
    struct nvml *nvml;
    assert_int_equal(nvml_open("libno-such-library.so.1", &nvml), STATUS_UNSUPPORTED);
    assert_null(nvml);
    assert_non_null(strstr(status_text(), "no NVIDIA driver"));
    assert_int_equal(nvml_open(FAKE_NVML_BROKEN, &nvml), STATUS_UNSUPPORTED);
    assert_null(nvml);
    assert_non_null(strstr(status_text(), "Driver Not Loaded"));
    assert_int_equal(nvml_open("libm.so.6", &nvml), STATUS_UNSUPPORTED); /* another library */
    assert_null(nvml);
}

static void readings_are_written_with_names(void **state)
{
    (void)state;
    struct nvml *nvml = open_fake(FAKE_NVML);
    struct machine_cards cards = { .used = { 1 } };
    for (int i = 0; i < 2; i++)
        cards.before[i] = cards.after[i] = nvml_read(nvml, i);
    cJSON *environment = cJSON_CreateObject();
    machine_describe_cards(environment, nvml, "", &cards);
    char *text = cJSON_PrintUnformatted(environment);
    assert_non_null(
        strstr(text, "\"throttle\":[\"sw_power_cap\",\"sw_thermal_slowdown\",\"bit_40\"]"));
    assert_non_null(strstr(text, "\"used\":true"));
    assert_non_null(strstr(text, "\"uuid\":null"));
    assert_non_null(strstr(text, "\"gpus_reason\":null"));
    cJSON_free(text);
    cJSON_Delete(environment);
    nvml_close(nvml);

    environment = cJSON_CreateObject();
    machine_describe_cards(environment, NULL, "no NVIDIA driver", &cards);
    text = cJSON_PrintUnformatted(environment);
    assert_string_equal(text, "{\"gpus\":[],\"gpus_reason\":\"no NVIDIA driver\"}");
    cJSON_free(text);
    cJSON_Delete(environment);
}

/* ---- energy ------------------------------------------------------------------------------ */

static void write_number(const char *folder, int package, const char *name, const char *number)
{
    char path[256];
    snprintf(path, sizeof path, "%s/intel-rapl:%d", folder, package);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/intel-rapl:%d/%s", folder, package, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(number, file);
    fclose(file);
}

static void packages_are_added_and_go_round(void **state)
{
    (void)state;
    char folder[] = "rapl-XXXXXX", command[64];
    const char *source, *reason;
    struct energy energy;
    assert_non_null(mkdtemp(folder));
    write_number(folder, 0, "energy_uj", "1000000\n");
    write_number(folder, 0, "max_energy_range_uj", "65000000\n");
    write_number(folder, 1, "energy_uj", "64000000\n");
    energy_begin(&energy, NULL, NULL, folder);
    write_number(folder, 0, "energy_uj", "4500000\n");
    assert_true(fabs(energy_end(&energy, &source, &reason) - 3.5) < 1e-9);
    assert_string_equal(source, "RAPL");
    assert_null(reason);
    write_number(folder, 1, "energy_uj", "500000\n"); /* of 65 J: 1.5 J on */
    assert_true(fabs(energy_end(&energy, &source, &reason) - 5.0) < 1e-9);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);

    energy_begin(&energy, NULL, NULL, folder);
    assert_true(isnan(energy_end(&energy, &source, &reason)));
    assert_null(source);
    assert_non_null(strstr(reason, "RAPL"));
}

static void a_card_has_its_own_counter(void **state)
{
    (void)state;
    const char *source, *reason;
    struct energy energy;
    struct nvml *nvml = open_fake(FAKE_NVML);
    energy_begin(&energy, nvml, "0000:3b:00.0", "no-such-folder");
    assert_true(fabs(energy_end(&energy, &source, &reason) - 2.5) < 1e-9);
    assert_string_equal(source, "NVML");
    energy_begin(&energy, nvml, "0000:3c:00.0", "no-such-folder");
    assert_true(isnan(energy_end(&energy, &source, &reason)));
    assert_non_null(strstr(reason, "driver"));
    energy_begin(&energy, nvml, NULL, "no-such-folder"); /* no card is used: the CPU's */
    assert_true(isnan(energy_end(&energy, &source, &reason)));
    assert_non_null(strstr(reason, "RAPL"));
    nvml_close(nvml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_are_read_through_the_driver_s_library),
        cmocka_unit_test(an_address_finds_its_card),
        cmocka_unit_test(an_older_driver_says_less),
        cmocka_unit_test(where_there_is_none_the_reason_is_said),
        cmocka_unit_test(readings_are_written_with_names),
        cmocka_unit_test(packages_are_added_and_go_round),
        cmocka_unit_test(a_card_has_its_own_counter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
