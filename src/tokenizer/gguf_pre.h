/* gguf_pre.h - what the names in tokenizer.ggml.pre stand for, for reading and for writing GGUF files. */
#ifndef HONE_GGUF_PRE_H
#define HONE_GGUF_PRE_H

#include "base/err.h"
#include "base/json.h"

typedef struct GgufPre {
    const char *name;
    const char *regex[7];      /* cut at the matches of one after the other; NULL ends */
    bool        whole_words;   /* a word that is a token is not merged: ignore_merges */
    bool        bos;           /* bos is put before a text unless the file says otherwise */
} GgufPre;

const GgufPre *gguf_pre_find(Str name);                    /* NULL: hone does not know it */
Json *gguf_pre_json(const GgufPre *p);                     /* as a pre_tokenizer */
/* The name for the pre_tokenizer of a tokenizer.json; NULL with an Err that describes what no name stands for. */
const GgufPre *gguf_pre_of(const Json *pre_tokenizer, bool whole_words, const char *where, Err *e);

#endif
