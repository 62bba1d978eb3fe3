/* fuzz_source.c - any bytes as a packed file, within small bounds: every member ends or is refused with a sentence, and the walk ends. */
#include "formats/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const SourceLimits limits = { .members = 20, .bytes = 1 << 20 };
    Source *s = NULL;
    Err e = {0};
    int rc, turns = 0;
    uint64_t out = 0;
    source_open_memory(&s, (Str){ (const char *)p, n }, "fuzz", &limits, &e);
    while ((rc = source_next(s, &e)) != 0 && turns++ < 100) {
        uint8_t buf[4096];
        size_t got = 0;
        BUG_ON(rc < 0 && (rc != ERR_INPUT || !str_starts(str_of(e.text), "fuzz")));
        BUG_ON(!str_starts(str_of(source_where(s)), "fuzz"));
        while (rc > 0 && !(rc = source_read(s, buf, sizeof buf, &got, &e)) && got) {
            out += got;
            rc = 1;
        }
        BUG_ON(rc < 0 && (rc != ERR_INPUT || !e.text[0]));
        BUG_ON(source_is_plain(s) && rc == 0 && out != n);
    }
    BUG_ON(turns > 50);
    BUG_ON(out > ((uint64_t)1 << 20) + n + 20 * 4096 * 3);
    uint64_t done, total;
    source_progress(s, &done, &total);
    BUG_ON(done > total || total != n);
    source_close(s);
    return 0;
}
