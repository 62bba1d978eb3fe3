/* preview.c - shows a person what a row looks like to the model: which text is trained and which is only read.
 * Invariant: what the data says is shown, never obeyed: control characters appear as \xNN, so a row cannot move the cursor or change colours. */
#include "data/dataset.h"
#include "base/utf8.h"

typedef struct Look { const char *trained, *read, *end; } Look; /* what is written before a stretch and behind it */
static const Look looks[2] = {
    [false] = { "[[", "", "]]" },
    [true] = { "\x1b[1;32m", "\x1b[2m", "\x1b[0m" },
};

void dataset_preview(const DataSet *d, size_t i, const Tok *tok, bool colour, StrBuf *out)
{
    BUG_ON(i >= d->n);
    const Example *x = &d->ex[i];
    const Look *look = &looks[colour];
    TokStream *s = tok_stream_new(tok, false);
    StrBuf piece = { 0 };

    const DataFile *f = &d->file[x->file];
    strbuf_addf(out, "%s, %s %lld: %d tokens, %d trained\n", f->path, f->kind == DATA_RAW_TEXT ? "piece" : "line", (long long)x->line, x->n, x->n_train);
    for (int32_t t = 0; t < x->n; t++) {
        bool starts = !t || x->train[t] != x->train[t - 1], ends = t + 1 == x->n || x->train[t] != x->train[t + 1];
        if (starts)
            strbuf_addz(out, x->train[t] ? look->trained : look->read);
        strbuf_clear(&piece);
        tok_stream_push(s, x->ids[t], &piece);
        if (t + 1 == x->n)
            tok_stream_end(s, &piece);
        utf8_visible(out, strbuf_str(&piece));
        if (ends && (colour || x->train[t]))
            strbuf_addz(out, look->end);
    }
    strbuf_addc(out, '\n');
    tok_stream_free(s);
    strbuf_release(&piece);
}
