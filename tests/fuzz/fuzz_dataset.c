/* fuzz_dataset.c - any bytes as a data file: they load, split, pack and preview, or are refused with a sentence that names the file. The first byte
 * chooses tokenizer, objective, what happens to long rows, the length, and the name of the file. */
#include "base/log.h"
#include "data/data_int.h"
#include "data/pack.h"
#include "../data/tiny_tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_examples(const DataSet *d, const DataOptions *o)
{
    for (size_t i = 0; i < d->n; i++)
        BUG_ON(d->ex[i].n > o->max_length || d->ex[i].n_train < 1 || d->ex[i].train[0]);
}

static void use(DataSet *d, const Tok *t, const DataOptions *o)
{
    PackPlan plan;
    MicroBatch m = { 0 };
    StrBuf seen = { 0 };
    DataSet *held = NULL;
    Err e;
    check_examples(d, o);
    size_t n = d->n;
    dataset_preview(d, n - 1, t, false, &seen);
    BUG_ON(!utf8_valid(strbuf_str(&seen), NULL) || (seen.p && memchr(seen.p, '\x1b', seen.n)));
    pack_plan(&plan, d, o->max_length, true, true, 1, 0);
    microbatch_fill(&m, d, plan.item, plan.first[1]);
    BUG_ON(m.n_tokens > o->max_length || m.n_rows < 1);
    if (!dataset_split(d, 0.5, 1, &held, &e)) {
        BUG_ON(!d->n || !held->n || d->n + held->n != n);
        check_examples(held, o);
    }
    dataset_free(held);
    microbatch_release(&m);
    pack_plan_release(&plan);
    strbuf_release(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static Tok *tok[4];
    static const TinyTok kinds[4] = { TINY_BYTES, TINY_CHATML, TINY_NOEOS, TINY_GPT2 };
    static const char *const names[4] = { "fuzz.jsonl", "fuzz.json", "fuzz.txt", "fuzz.jsonl" };
    if (!n)
        return 0;
    unsigned c = p[0];
    if (!tok[c & 3]) {
        tok[c & 3] = tiny_tok(kinds[c & 3]);
        log_stderr(false);
    }
    DataOptions o = { .objective = c & 4 ? OBJECTIVE_TEXT : OBJECTIVE_SFT, .on_long = (LongPolicy)(c >> 3 & 3) % 3,
                      .max_length = c & 32 ? 1000 : 9, .separator = "\n" };
    DataSet *d = NULL;
    Err e = { 0 };
    DataPath file = { names[c >> 6], { (const char *)p + 1, n - 1 } };
    int rc = dataset_load_memory(&d, &file, 1, tok[c & 3], &o, &e);
    BUG_ON((rc == 0) != (d != NULL));
    BUG_ON(rc && (rc != ERR_INPUT || e.code != rc || !str_starts(str_of(e.text), "fuzz.")));
    if (d)
        use(d, tok[c & 3], &o);
    dataset_free(d);
    return 0;
}
