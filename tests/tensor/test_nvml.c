/* test_nvml.c - nvml.c against a library that this test builds: each number arrives under its name, what a library lacks or refuses stays unknown, energy is counted or summed,
 * and without a library nothing is shown. */
#include "base/check.h"

#include <math.h>
#include <stdio.h>

#include "base/str.h"
#include "tensor/cuda/nvml.h"

/* As the API reference declares them. LESS: an old library without three of them and another name for two. */
static const char source[] =
    "typedef struct { unsigned long long total, free, used; } Memory;\n"
    "typedef struct { unsigned gpu, memory; } Rates;\n"
    "static int begun, asked; static char card;\n"
    "#ifdef LESS\n"
    "#define INIT nvmlInit\n#define BY_BUS nvmlDeviceGetHandleByPciBusId\n#define REASONS nvmlDeviceGetCurrentClocksThrottleReasons\n"
    "#else\n"
    "#define INIT nvmlInit_v2\n#define BY_BUS nvmlDeviceGetHandleByPciBusId_v2\n#define REASONS nvmlDeviceGetCurrentClocksEventReasons\n"
    "int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { *mj = 5000000ull + 2500ull * asked++; return d != &card; }\n"
    "int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *c) { *c = 61; return d != &card || sensor; }\n"
    "int nvmlDeviceGetUtilizationRates(void *d, Rates *r) { r->gpu = 97; r->memory = 40; return d != &card; }\n"
    "#endif\n"
    "int INIT(void) { begun++; return 0; }\n"
    "int nvmlShutdown(void) { return --begun; }\n"
    "int BY_BUS(const char *bus, void **d) { *d = &card; for (const char *want = \"0000:81:00.0\"; *want || *bus; want++, bus++) if (*want != *bus) return 6; return begun != 1; }\n"
    "int nvmlDeviceGetMemoryInfo(void *d, Memory *m) { m->total = 80ull << 30; m->used = 17ull << 30; m->free = m->total - m->used; return d != &card; }\n"
    "int nvmlDeviceGetPowerUsage(void *d, unsigned *mw) { *mw = 412500; return d != &card; }\n"
    "int nvmlDeviceGetClockInfo(void *d, int which, unsigned *mhz) { *mhz = 1755; return which == 1 ? 3 : d != &card; }\n" /* refused */
    "int REASONS(void *d, unsigned long long *mask) { *mask = 0x4 | 0x1 | 0x20; return d != &card; }\n";

static char *library(const char *dir, const char *name, const char *flags)
{
    Err    e;
    StrBuf command = { 0 };
    char  *c = path_join(dir, "fake.c"), *so = path_join(dir, name);
    if (file_write_atomic(c, source, strlen(source), &e))
        fail_msg("%s", e.text);
    strbuf_addf(&command, "cc -shared -fPIC %s -o '%s' '%s'", flags, so, c);
    if (system(strbuf_z(&command)) != 0)
        fail_msg("%s", strbuf_z(&command));
    strbuf_release(&command);
    free(c);
    return so;
}

static void whole(void **state)
{
    (void)state;
    char     *dir = check_dir(), *so = library(dir, "whole.so", "");
    NvmlState s;
    StrBuf    why = { 0 };
    assert_null(nvml_open("0000:07:00.0", so)); /* a card that it does not know; the library is let go again, or the count would be wrong below */
    Nvml *n = nvml_open("0000:81:00.0", so);
    assert_non_null(n);
    nvml_read(n, &s);
    assert_true(s.memory_used == 0x1p30 * 17 && s.memory_total == 0x1p30 * 80);
    assert_true(s.watts == 412.5 && s.busy == 97 && s.celsius == 61);
    assert_true(isnan(s.megahertz));
    assert_true(fabs(s.joules - 2.5) < 1e-9); /* since it was opened */
    nvml_read(n, &s);
    assert_true(fabs(s.joules - 5) < 1e-9);
    nvml_reasons(&why, s.held_down);
    assert_string_equal(strbuf_z(&why), "power cap, heat");
    nvml_close(n);
    strbuf_release(&why);
    free(so);
    check_dir_done(dir);
}

static void old(void **state)
{
    (void)state;
    char     *dir = check_dir(), *so = library(dir, "old.so", "-DLESS");
    NvmlState s;
    Nvml     *n = nvml_open("0000:81:00.0", so);
    assert_non_null(n);
    usleep(20000);
    nvml_read(n, &s);
    assert_true(s.watts == 412.5 && isnan(s.busy) && isnan(s.celsius) && s.held_down == 0x25);
    assert_true(s.joules >= 0.02 * 412.5 && s.joules < 60 * 412.5); /* power times time */
    const double before = s.joules;
    usleep(5000);
    nvml_read(n, &s);
    assert_true(s.joules >= before + 0.005 * 412.5);
    nvml_close(n);
    free(so);
    check_dir_done(dir);
}

static void none(void **state)
{
    (void)state;
    NvmlState s;
    assert_null(nvml_open("0000:81:00.0", "/nowhere/libnvidia-ml.so"));
    assert_null(nvml_open(NULL, NULL));
    nvml_read(NULL, &s);
    assert_true(isnan(s.watts) && isnan(s.joules) && isnan(s.memory_used) && s.held_down == 0);
    nvml_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(whole), cmocka_unit_test(old), cmocka_unit_test(none) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
