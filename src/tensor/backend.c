/* backend.c - the table of backends, and which one `auto` is. To add one: its folder with an open function, and a row here. */
#include "tensor/backend.h"
#include "base/str.h"
#include "tensor/cpu/cpu.h"
#include "tensor/cuda/cuda.h"
#include "tensor/ref/ref.h"
#include <stdlib.h>

static Backend *open_cpu(const char *which, int threads, Err *e)
{
    (void)which;
    return backend_cpu_open(threads, e);
}

static Backend *open_ref(const char *which, int threads, Err *e)
{
    (void)which;
    (void)threads; /* the judge stays on one thread */
    (void)e;       /* and cannot fail */
    return backend_ref_open();
}

/* which: "" or the number of a card. */
static Backend *open_cuda(const char *which, int threads, Err *e)
{
    char *end;
    long  n = strtol(which, &end, 10);
    (void)threads; /* the card has its own */
    if (*which && (*which < '0' || *which > '9' || *end || n > 9999)) {
        err_set(e, ERR_ARG, "Device \"cuda:%.40s\" should name a card by its number, as in cuda:0.", which);
        return NULL;
    }
    return backend_cuda_open(*which ? (int)n : -1, e);
}

static const struct {
    const char *name;
    bool        numbered; /* a ":" and a number may follow */
    Backend  *(*open)(const char *which, int threads, Err *e);
} backends[] = {
    { "cpu", false, open_cpu },
    { "cuda", true, open_cuda },
    { "ref", false, open_ref },
};

Backend *backend_open(const char *name, int threads, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        const size_t n = strlen(backends[i].name);
        if (!strncmp(backends[i].name, name, n) && (!name[n] || (backends[i].numbered && name[n] == ':' && name[n + 1])))
            return backends[i].open(name[n] ? name + n + 1 : "", threads, e);
    }
    StrBuf names = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        strbuf_addf(&names, "%s%s%s", i ? ", " : "", backends[i].name, backends[i].numbered ? "[:number]" : "");
    err_set(e, ERR_ARG, "There is no backend \"%.40s\"; choose one of: %s.", name, strbuf_z(&names));
    strbuf_release(&names);
    return NULL;
}

const char *backend_auto(void)
{
    return backend_cuda_count() > 0 && backend_cuda_proven() ? "cuda" : "cpu";
}

const char *compute_name(Compute c)
{
    return c == COMPUTE_BF16 ? "bf16" : "f32";
}

int backend_check(const Backend *be, Compute c, Err *e)
{
    if (c == COMPUTE_F32 || be->has_bf16)
        return 0;
    if (strcmp(be->name, "cpu") != 0)
        return err_set(e, ERR_ARG, "compute bf16 is for devices cpu and cuda, and device is %s; choose compute f32", be->name);
    return err_set(e, ERR_ARG, "compute bf16 needs a processor with AVX512-BF16, and this one has %s; choose compute f32", backend_cpu_features());
}
