/* tok.h - text <-> token ids, exactly as the tokenizer.json of the model says (Hugging Face tokenizers' format).
 * A Tok is immutable after opening and shared by threads. An unknown component type is ERR_INPUT by name, never a guess. */
#ifndef HONE_TOK_H
#define HONE_TOK_H

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/vec.h"

typedef struct Tok Tok;
typedef VEC(int32_t) TokIds;

/* tokenizer_config (may be NULL) gives the names of bos, eos, pad and unk. `where` is what errors call the source. */
int  tok_open_json(Tok **out, const Json *tokenizer, const Json *tokenizer_config, const char *where, Err *e);
int  tok_open(Tok **out, const char *model_dir, Err *e);
void tok_free(Tok *t);

#define TOK_SPECIAL  1u  /* let the post-processor add its special tokens (BOS ...), as transformers does by default */
#define TOK_PLAIN    2u  /* text of special tokens inside the input is ordinary text: what a user writes must not become control tokens */
int  tok_encode(const Tok *t, Str text, unsigned flags, TokIds *ids, Err *e);     /* appends; text must be valid UTF-8 (else ERR_INPUT with offset) */
/* The same with, for each id, the byte span of `text` that it came from (begin, end; special tokens added by the post-processor: begin == end).
 * Spans of consecutive tokens may overlap where a character was split into bytes. */
typedef struct TokSpan { uint32_t begin, end; } TokSpan;
typedef VEC(TokSpan) TokSpans;
int  tok_encode_spans(const Tok *t, Str text, unsigned flags, TokIds *ids, TokSpans *spans, Err *e);

/* ids[i] gets the ids of texts[i], appended; the texts are shared out over the pool (NULL: none), the result does not depend on its threads. An error is
 * that of the first text that has one, whose number *bad tells (bad may be NULL); other texts may have their ids then. */
int  tok_encode_many(const Tok *t, Pool *pool, const Str *texts, size_t n, unsigned flags, TokIds *ids, size_t *bad, Err *e);

void tok_decode(const Tok *t, const int32_t *ids, size_t n, bool skip_special, StrBuf *out); /* as tokenizers' decode; unknown ids are skipped */

/* Streaming: text appears as soon as it is final; an unfinished UTF-8 character is held back. The pieces joined equal tok_decode of all ids. */
typedef struct TokStream TokStream;
TokStream *tok_stream_new(const Tok *t, bool skip_special);
void       tok_stream_push(TokStream *s, int32_t id, StrBuf *out);
void       tok_stream_end(TokStream *s, StrBuf *out);                /* flushes what is held back (as U+FFFD where incomplete) */
void       tok_stream_free(TokStream *s);

int32_t tok_size(const Tok *t);                                      /* largest id + 1, added tokens included */
bool    tok_find(const Tok *t, Str token, int32_t *id);              /* exact entry: vocabulary or added token */
Str     tok_text(const Tok *t, int32_t id);                          /* the entry as written in the file; {NULL,0}: no such id */
bool    tok_is_special(const Tok *t, int32_t id);
int32_t tok_bos(const Tok *t);                                       /* -1: none */
int32_t tok_eos(const Tok *t);
int32_t tok_pad(const Tok *t);
const char *tok_hash(const Tok *t);                                  /* SHA-256 of all that it was made of, chat template included */
const char *tok_kind(const Tok *t);                                  /* "BPE (byte-level)", "BPE (byte fallback)": for inspect */

#endif
