/* gguf_mix.h - the file types of GGUF ("Q4_K_M") and which number format each gives a tensor. A mixed type spends more bits where llama.cpp's own
 * quantiser does, so that a file made here has the same formats, tensor by tensor, as one made there.
 * To add a type: a row in gguf_mix.c. */
#ifndef HONE_GGUF_MIX_H
#define HONE_GGUF_MIX_H

#include "base/err.h"
#include "formats/dtype.h"

typedef struct GgufType {
    const char *name;       /* "Q4_K_M" */
    int         number;     /* general.file_type */
    DType       dtype;      /* of most matrices */
    double      noise;      /* what its rounding may do to logits, as a share of their spread: see gguf_mix.c */
} GgufType;

typedef struct GgufMix {    /* what the choice depends on besides the name */
    const GgufType *type;
    const char     *arch;
    int64_t         layers, heads, kv_heads, experts;
    bool            tied;   /* the file has no output.weight */
} GgufMix;

int   gguf_type_find(const GgufType **out, const char *name, Err *e);   /* any case; "" is F16. An unknown name lists the known ones */
/* The format of one tensor: its name in GGUF, its layer (-1: none), the length of its rows; `full`: what is always F32. */
DType gguf_mix_choose(const GgufMix *m, const char *name, int64_t layer, int64_t cols, bool full);

#endif
