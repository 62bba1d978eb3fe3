/* nvml.c - see nvml.h. Functions, types and numbers as NVIDIA's NVML API reference documents them (sections "Initialization and Cleanup", "Device Queries"); a binary interface
 * that has been the same since driver 410, so no header is needed to build.
 * Main struct: Nvml. Invariant: a function that the library lacks, or that answers with an error, leaves its number unknown and nothing else. */
#include "tensor/cuda/nvml.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#define LIBRARY "libnvidia-ml.so.1"

typedef struct Device *Handle; /* nvmlDevice_t */
typedef struct Memory { unsigned long long total, free, used; } Memory; /* nvmlMemory_t */
typedef struct Rates { unsigned gpu, memory; } Rates;                   /* nvmlUtilization_t */
enum { NVML_GOOD = 0, NVML_CORE = 0 /* sensor */, NVML_CLOCK_SM = 1 };

struct Nvml {
    void  *library;
    Handle card;
    int (*init)(void);
    int (*shutdown)(void);
    int (*by_bus)(const char *bus, Handle *out);
    int (*memory)(Handle, Memory *out);
    int (*power)(Handle, unsigned *milliwatts);
    int (*energy)(Handle, unsigned long long *millijoules);
    int (*rates)(Handle, Rates *out);
    int (*temperature)(Handle, int sensor, unsigned *celsius);
    int (*clock)(Handle, int which, unsigned *megahertz);
    int (*reasons)(Handle, unsigned long long *mask);
    bool   counts;              /* the card counts its energy, from first_joules at nvml_open */
    double first_joules;
    double last_watts, last_at, summed; /* else: the last look, and the sum so far */
};

/* A name that has changed is tried by both. */
static const struct { size_t off; const char *name, *old; bool must; } nvml_call[] = {
    { offsetof(Nvml, init), "nvmlInit_v2", "nvmlInit", true },
    { offsetof(Nvml, shutdown), "nvmlShutdown", NULL, true },
    { offsetof(Nvml, by_bus), "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetHandleByPciBusId", true },
    { offsetof(Nvml, memory), "nvmlDeviceGetMemoryInfo", NULL, false },
    { offsetof(Nvml, power), "nvmlDeviceGetPowerUsage", NULL, false },
    { offsetof(Nvml, energy), "nvmlDeviceGetTotalEnergyConsumption", NULL, false },
    { offsetof(Nvml, rates), "nvmlDeviceGetUtilizationRates", NULL, false },
    { offsetof(Nvml, temperature), "nvmlDeviceGetTemperature", NULL, false },
    { offsetof(Nvml, clock), "nvmlDeviceGetClockInfo", NULL, false },
    { offsetof(Nvml, reasons), "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons", false },
};

static bool find_calls(Nvml *n)
{
    for (size_t i = 0; i < ARRAY_LEN(nvml_call); i++) {
        void *at = dlsym(n->library, nvml_call[i].name);
        if (!at && nvml_call[i].old)
            at = dlsym(n->library, nvml_call[i].old);
        if (!at && nvml_call[i].must)
            return false;
        memcpy((char *)n + nvml_call[i].off, &at, sizeof at); /* POSIX: a function's address is a pointer's */
    }
    return true;
}

static double watts_of(Nvml *n)
{
    unsigned mw = 0;
    return n->power && n->power(n->card, &mw) == NVML_GOOD ? mw * 1e-3 : NAN;
}

static double joules_counted(Nvml *n)
{
    unsigned long long mj = 0;
    return n->energy && n->energy(n->card, &mj) == NVML_GOOD ? (double)mj * 1e-3 : NAN;
}

Nvml *nvml_open(const char *bus, const char *library)
{
    Nvml *n = mem_zalloc(1, sizeof *n);
    bool  begun = false;
    n->library = bus ? dlopen(library ? library : LIBRARY, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!n->library || !find_calls(n) || !(begun = n->init() == NVML_GOOD) || n->by_bus(bus, &n->card) != NVML_GOOD) {
        if (begun)
            n->shutdown();
        if (n->library)
            dlclose(n->library);
        free(n);
        return NULL;
    }
    n->first_joules = joules_counted(n);
    n->counts = isfinite(n->first_joules);
    n->last_watts = watts_of(n);
    n->last_at = clock_seconds();
    return n;
}

static double joules_of(Nvml *n, double watts)
{
    const double now = clock_seconds();
    if (n->counts)
        return joules_counted(n) - n->first_joules;
    n->summed += (now - n->last_at) * (n->last_watts + watts) / 2;
    n->last_at = now;
    n->last_watts = watts;
    return n->summed;
}

void nvml_read(Nvml *n, NvmlState *s)
{
    Memory             memory;
    Rates              rates;
    unsigned           v;
    unsigned long long mask;
    *s = (NvmlState){ .memory_used = NAN, .memory_total = NAN, .watts = NAN, .joules = NAN, .busy = NAN, .celsius = NAN, .megahertz = NAN };
    if (!n)
        return;
    if (n->memory && n->memory(n->card, &memory) == NVML_GOOD) {
        s->memory_used = (double)memory.used;
        s->memory_total = (double)memory.total;
    }
    s->watts = watts_of(n);
    s->joules = joules_of(n, s->watts);
    if (n->rates && n->rates(n->card, &rates) == NVML_GOOD)
        s->busy = rates.gpu;
    if (n->temperature && n->temperature(n->card, NVML_CORE, &v) == NVML_GOOD)
        s->celsius = v;
    if (n->clock && n->clock(n->card, NVML_CLOCK_SM, &v) == NVML_GOOD)
        s->megahertz = v;
    if (n->reasons && n->reasons(n->card, &mask) == NVML_GOOD)
        s->held_down = mask;
}

void nvml_close(Nvml *n)
{
    if (!n)
        return;
    n->shutdown();
    dlclose(n->library);
    free(n);
}

void nvml_reasons(StrBuf *out, uint64_t held_down)
{
    static const struct { uint64_t bit; const char *name; } reason[] = { /* nvmlClocksEventReason... */
        { 0x04, "power cap" }, { 0x08, "hardware slowdown" }, { 0x20, "heat" }, { 0x40, "heat, by the hardware" }, { 0x80, "power brake" },
    };
    const char *between = "";
    for (size_t i = 0; i < ARRAY_LEN(reason); i++)
        if (held_down & reason[i].bit) {
            strbuf_addf(out, "%s%s", between, reason[i].name);
            between = ", ";
        }
}
