/* backend.c - the table of backends. To add one: its folder with an open function, and a row here. */
#include "tensor/backend.h"
#include "base/str.h"
#include "tensor/cpu/cpu.h"
#include "tensor/ref/ref.h"

static Backend *open_ref(int threads, Err *e)
{
    (void)threads; /* the judge stays on one thread */
    (void)e;       /* and cannot fail */
    return backend_ref_open();
}

static const struct {
    const char *name;
    Backend  *(*open)(int threads, Err *e);
} backends[] = {
    { "cpu", backend_cpu_open },
    { "ref", open_ref },
};

Backend *backend_open(const char *name, int threads, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (!strcmp(backends[i].name, name))
            return backends[i].open(threads, e);

    StrBuf names = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        strbuf_addf(&names, "%s%s", i ? ", " : "", backends[i].name);
    err_set(e, ERR_ARG, "There is no backend \"%.40s\"; choose one of: %s.", name, strbuf_z(&names));
    strbuf_release(&names);
    return NULL;
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
        return err_set(e, ERR_ARG, "compute bf16 is for device cpu, and device is %s; choose compute f32", be->name);
    return err_set(e, ERR_ARG, "compute bf16 needs a processor with AVX512-BF16, and this one has %s; choose compute f32", backend_cpu_features());
}
