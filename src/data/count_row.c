/* count_row.c - one row alone through the encoder and the gate of training, without keeping its tokens. */
#include "data/data_int.h"

int dataset_count_row(const Json *row, const Tok *tok, const DataOptions *opt, int64_t *tokens, int64_t *trained, Err *e)
{
    ChatOut  out = { 0 };
    DataKind kind;
    int      rc = rows_kind(row, "the row", &kind, e);
    *tokens = *trained = 0;
    if (!rc)
        rc = encode_possible(kind, tok, opt, "the row", e);
    if (!rc)
        rc = encode_row(row, kind, tok, opt, "the row", &out, e);
    if (!rc)
        rc = encode_check(&out, kind, tok, opt, "the row", e);
    if (!rc) {
        *tokens = (int64_t)out.ids.n;
        for (size_t i = 1; i < out.mask.n; i++) /* the first token is never a target */
            *trained += opt->objective == OBJECTIVE_TEXT || out.mask.p[i];
    }
    chat_out_release(&out);
    return rc;
}
