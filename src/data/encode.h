/* encode.h - one row of any shape to its text, its tokens, and which of them are trained under OBJECTIVE_SFT: the only way from a row to tokens, for training
 * and for whoever wants to know what training would see. */
#ifndef HONE_ENCODE_H
#define HONE_ENCODE_H

#include "data/dataset.h"

int encode_possible(DataKind kind, const Tok *t, const DataOptions *o, const char *name, Err *e); /* before the first row of a file */
int encode_row(const Json *row, DataKind kind, const Tok *t, const DataOptions *o, const char *where, ChatOut *out, Err *e);
int encode_text(Str text, bool end, const Tok *t, const char *where, ChatOut *out, Err *e);       /* end: append EOS where there is one */
int encode_check(const ChatOut *row, DataKind kind, const Tok *t, const DataOptions *o, const char *where, Err *e); /* the gate */

#endif
