/* gguf_save.h - a model, or an adapter alone, as a GGUF file that llama.cpp reads. */
#ifndef HONE_GGUF_SAVE_H
#define HONE_GGUF_SAVE_H

#include "model/gguf_arch.h"
#include "model/gguf_mix.h"
#include "model/lora.h"

/* Writes m, with `adapter` merged in when not NULL, and the tokenizer (tokenizer.json and tokenizer_config.json as JSON; NULL: none). What llama.cpp
 * cannot compute is an error by name; what it computes only up to some length becomes a sentence in `notes`, one a line. threads: 0 all. Atomic. */
int gguf_save(const Model *m, const Adapter *adapter, const Json *tokenizer, const Json *tokenizer_config, const char *path, const GgufType *type,
              int threads, StrBuf *notes, Err *e);

/* The adapter alone, for llama.cpp's --lora: the factors in llama.cpp's layout, f32, scaled so that it computes what hone does. */
int gguf_save_adapter(const Adapter *a, const Model *m, const char *path, Err *e);
/* The reverse; `path` is a GGUF file of general.type adapter for this model. */
int gguf_open_adapter(Adapter **out, const Model *m, const char *path, Err *e);

/* gguf_put.c: metadata of the model, with what llama.cpp cannot compute refused. */
struct GgufWriter;
bool gguf_single_factors(const GgufArch *a, const RopeConfig *r);   /* longrope that is the same at every length: rope_freqs.weight says it */
int gguf_put_config(struct GgufWriter *w, const Model *m, const GgufArch *a, StrBuf *notes, Err *e);

#endif
