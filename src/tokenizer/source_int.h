/* source_int.h - what the converters share: small JSON pieces, added tokens, and the model that SentencePiece files and GGUF metadata both hold. */
#ifndef HONE_TOK_SOURCE_INT_H
#define HONE_TOK_SOURCE_INT_H

#include "base/vec.h"
#include "tokenizer/source.h"

#define SPM_PIECES_MAX (1 << 22)             /* as TOK_ID_MAX */
#define SPM_PIECE_MAX  512                   /* bytes of a piece that is made by merging; the longest in use have about a hundred */
#define SPM_MERGES_MAX (1 << 22)             /* Gemma 3, the largest in use, has half a million */
#define SPM_SPACE      "\xE2\x96\x81"        /* what stands for a space in pieces */

/* The numbers are those of both formats. */
typedef enum { SPM_NORMAL = 1, SPM_UNKNOWN = 2, SPM_CONTROL = 3, SPM_USER = 4, SPM_UNUSED = 5, SPM_BYTE = 6 } SpmType;
typedef enum { SPM_UNIGRAM = 1, SPM_BPE = 2, SPM_WORD = 3, SPM_CHAR = 4 } SpmKind;

typedef struct SpmPiece { Str text; double score; int64_t type; } SpmPiece;
typedef struct SpmModel {
    VEC(SpmPiece) pieces;                    /* the id is the place */
    int64_t kind;                            /* a SpmKind */
    int64_t unk, bos, eos, pad;              /* ids; out of range: none */
    bool    byte_fallback;
    Str     charsmap;                        /* empty: text is not normalised */
    bool    dummy_prefix;                    /* a space before the text */
    bool    squeeze;                         /* spaces at the ends go, runs become one */
    bool    escape;                          /* spaces become SPM_SPACE */
    bool    add_bos, add_eos;                /* GGUF says this; a SentencePiece file leaves it to tokenizer_config.json */
} SpmModel;

/* spm_json.c: checks the pieces and writes the tokenizer. The texts are borrowed. */
int  spm_json(const SpmModel *m, Json **tokenizer, Json **config, const char *where, Err *e);
void spm_release(SpmModel *m);

/* --- source.c ---------------------------------------------------------------------------------------------------------------------- */
Json *source_literal(const char *text);      /* JSON written in this program */
Json *source_added(int64_t id, Str content, bool special, bool normalized);
Json *source_template(const char *const names[2], const int64_t ids[2]);   /* around the text: before, after; a NULL name: nothing */
void  source_name(Json **config, const char *key, Str token);              /* unless the configuration has it */
Json *source_file(Json *added, Json *normalizer, Json *pre_tokenizer, Json *post_processor, Json *decoder, Json *model); /* NULL: null; steals all */
bool  source_text_ok(Str text);              /* valid UTF-8 without NUL: can be a key of a JSON object */
Str   source_config_str(const Json *config, const char *key);              /* a text, or the "content" of an object; {NULL,0}: none */
int   source_add_tokens(Json *tokenizer, const Json *config, const char *where, Err *e); /* "added_tokens_decoder" of the configuration */
int   source_check_class(const Json *config, const char *const *known, const char *what, const char *where, Err *e); /* known ends with NULL */

#endif
