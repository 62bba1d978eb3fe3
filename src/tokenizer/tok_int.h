/* tok_int.h - what the files of this room share and nobody else sees.
 *
 * Encoding is a row of small steps over one Work: the text as it stands, cut into pieces. Every component of tokenizer.json becomes one or
 * more Steps (a Metaspace is "replace, prepend, cut"), so the engine knows seven verbs and the file formats stay in the parse tables.
 *
 *     user text -> added tokens (raw) -> normaliser steps -> added tokens (normalised) -> pre-tokenizer steps -> model per piece -> template
 *
 * A piece with an id is finished: its begin and end are offsets in the USER's text. A piece without one (id -1) is text still to be worked
 * on: begin and end are offsets in Work.text. When Work.aligned is set, Work.align tells for each byte of Work.text where in the user's text
 * it came from; otherwise nobody needs to know and it is NULL.
 *
 * To add a normaliser or pre-tokenizer: a row in the table of normal.c or pretok.c that expresses it in these steps. */
#ifndef HONE_TOK_INT_H
#define HONE_TOK_INT_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "tokenizer/tok.h"

#define TOK_TEXT_MAX    ((size_t)1 << 30) /* bytes of text in one call */
#define TOK_GROWTH_MAX  64                /* a normaliser may make a text this many times longer, plus 64 KiB */
#define TOK_ID_MAX      (1 << 22)         /* ids lie below; the largest vocabularies today have 2^18 */
#define TOK_ADDED_MAX   1024              /* bytes of one added token */
#define TOK_STEPS_MAX   64                /* steps in one list */
#define TOK_NEST_MAX    8                 /* Sequence in Sequence */
#define TOK_PATTERN_MAX 16384             /* bytes of one regular expression */

/* --- pattern.c: literal or regular expression ------------------------------------------------------------------------------------- */
typedef struct Pattern {
    Str         literal; /* searched as bytes when n > 0 */
    pcre2_code *re;      /* else this */
} Pattern;

typedef struct Matcher Matcher; /* what PCRE2 needs per thread */
typedef struct PatternIter {
    size_t at, last_end; /* where to search on; end of the last match, SIZE_MAX before the first */
} PatternIter;

int      pattern_regex(Pattern *p, Str source, const char *where, Err *e);           /* in the syntax of tokenizer.json (Oniguruma) */
int      pattern_literal(Pattern *p, Str text, Arena *a, const char *where, Err *e); /* the text is kept in the arena */
int      pattern_parse(Pattern *p, const Json *pattern, Arena *a, const char *where, Err *e); /* {"String": s} or {"Regex": s} */
void     pattern_release(Pattern *p);
Matcher *matcher_new(void);
void     matcher_free(Matcher *m);
/* 1: a match at [*begin, *end); 0: no more; negative: the expression took too many steps. An empty match that touches the last one is passed over. */
int      pattern_next(const Pattern *p, Matcher *m, Str s, PatternIter *it, size_t *begin, size_t *end, Err *e);
bool     pattern_matches(const Pattern *p, Matcher *m, Str s);                       /* anywhere in s; for single characters */
#define PATTERN_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"              /* inside a set: \w as the Rust regex library means it */

/* --- classes.c: characters as the tokenizers library classes them ------------------------------------------------------------------ */
typedef enum {
    CLASS_PUNCT, CLASS_BERT_CONTROL, CLASS_BERT_SPACE, CLASS_CHINESE, CLASS_BERT_ACCENT, CLASS_MARK, CLASS_JOINS, CLASS_PREPENDS, CLASS_CONTROL,
    CLASS_PICTOGRAPH, CLASS_CONSONANT, CLASS_LINKER, CLASS_EXTEND, CLASS_YOUNG
} CharClass;
bool   class_has(CharClass k, uint32_t cp);
int    char_script(uint32_t cp);            /* a number per script; 0: goes with any */
uint32_t char_young_lower(uint32_t cp);      /* lower case where utf8_lower does not know it yet; 0: it does */
size_t grapheme_end(Str s, size_t at);      /* where the grapheme cluster that begins at `at` ends */

/* --- dat.c: a trie of texts -------------------------------------------------------------------------------------------------------- */
typedef struct DatUnit { uint32_t base, check; int32_t id; } DatUnit; /* id of the text that ends here; -1: none */
typedef struct Dat { DatUnit *units; uint32_t n; } Dat;

void dat_build(Dat *d, const Str *texts, const int32_t *ids, size_t n); /* of equal texts the one with the largest id counts; empty ones are left out */
void dat_release(Dat *d);
static inline uint32_t dat_step(const Dat *d, uint32_t node, unsigned char byte) /* the root is 0; 0: no such child */
{
    uint32_t child = d->units[node].base ^ byte;
    return d->units[child].check == node ? child : 0;
}

/* --- the working state of one call ------------------------------------------------------------------------------------------------ */
typedef struct Piece { uint32_t begin, end; int32_t id; } Piece;
typedef VEC(Piece) Pieces;
typedef struct Cut { size_t begin, end; bool is_match; } Cut;
typedef struct BpeScratch BpeScratch;
/* Where a byte came from. The span is ours: all of the user's text that had a part in it, so that a mask knows what a token stands for. The
 * origin is where the tokenizers library says that it begins, which a Metaspace goes by; they differ where characters were joined or lost. */
typedef struct Align { TokSpan span; uint32_t origin; } Align;
typedef struct PathNode { double score; uint32_t start; int32_t id; } PathNode; /* Unigram: best way to a byte; start UINT32_MAX: none yet */

typedef struct Work {
    Str            text;     /* current text; in buf[] or the caller's own */
    const Align   *align;    /* [text.n], or NULL */
    bool           aligned;
    Pieces         pieces;   /* current pieces in order */
    StrBuf         buf[2];   /* the step in progress writes buf[turn], then the text points there and turn flips */
    VEC(Align)     from[2];  /* the same for align */
    VEC(int)       changes;  /* see work_origins */
    Pieces         next;     /* the step in progress writes here, then the two are swapped */
    int            turn;
    size_t         text_max; /* bound on what steps may write */
    VEC(Cut)       cuts;
    VEC(PathNode)  path;
    StrBuf         tmp;
    Matcher       *matcher;
    BpeScratch    *bpe;
    struct Work   *free_next;
} Work;

void work_start(Work *w, Str text, bool aligned);            /* one piece: the whole text */
void work_begin_write(Work *w);                              /* a step that rewrites text: begin, write, push pieces, end */
int  work_end_write(Work *w, Err *e);
void work_put(Work *w, const char *p, size_t n, Align from);
void work_copy(Work *w, size_t begin, size_t end);           /* bytes of the current text with their own places */
void work_origins(Work *w, size_t begin, size_t end, size_t written); /* what [begin, end) became from `written` on: origins by w->changes */
size_t work_written(const Work *w);
Align work_align(const Work *w, size_t begin, size_t end);   /* of [begin, end) of the current text together; begin < end */
TokSpan work_span(const Work *w, size_t begin, size_t end);
void work_swap_pieces(Work *w);

/* --- steps ------------------------------------------------------------------------------------------------------------------------ */
typedef enum { STEP_FORM, STEP_LOWER, STEP_STRIP, STEP_REPLACE, STEP_PREPEND, STEP_BYTES, STEP_CHARS, STEP_CHARSMAP, STEP_SPLIT } StepKind;
/* FIRST: missing, and the piece starts the user's text; START: nothing that is left of the text stands before the piece */
typedef enum { PREPEND_NEVER, PREPEND_MISSING, PREPEND_FIRST, PREPEND_START, PREPEND_ALWAYS } PrependWhen;
typedef enum { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_PREVIOUS, SPLIT_NEXT, SPLIT_CONTIGUOUS } SplitBehaviour;

typedef struct Charsmap Charsmap;
typedef struct Step Step;
typedef int  CharWrite(uint32_t cp, char out[12]);                   /* what a character becomes: number of bytes; CHAR_SAME: itself */
typedef bool CharTest(const Step *s, uint32_t cp);
typedef void CutsFind(Work *w, const Step *s, Str in);               /* fills w->cuts */
#define CHAR_SAME (-1)

struct Step {
    StepKind       kind;
    int            form;         /* FORM: a Utf8Form */
    bool           left, right;  /* STRIP */
    Pattern        pattern;      /* REPLACE, SPLIT when none of the next two is set */
    CharTest      *test;         /* SPLIT: each character for which it holds is a match */
    CutsFind      *find;         /* SPLIT: cuts found in another way */
    CharWrite     *write;        /* CHARS */
    Charsmap      *charsmap;     /* CHARSMAP; owned */
    uint32_t       number;       /* what test or find compare with */
    Str            content;      /* REPLACE, PREPEND; in the Tok's arena */
    PrependWhen    when;         /* PREPEND */
    SplitBehaviour behaviour;    /* SPLIT */
    bool           invert;       /* SPLIT: the pattern describes the words, not the delimiters */
};
typedef VEC(Step) Steps;

typedef struct StepParse { Steps *out; Arena *arena; const char *where; int depth; } StepParse;

Step *step_add(StepParse *sp, StepKind kind, Err *e);        /* NULL: too many */
void  steps_release(Steps *s);
int   normal_parse(StepParse *sp, const Json *component, Err *e);
int   pretok_parse(StepParse *sp, const Json *component, Err *e);
int   step_rewrite(Work *w, const Step *s, Err *e);          /* normal.c: all kinds but SPLIT */
int   step_split(Work *w, const Step *s, Err *e);            /* pretok.c */
int   steps_run(Work *w, const Steps *s, Err *e);
int   charsmap_parse(Charsmap **out, Str base64, bool longest, const char *where, Err *e); /* precompiled.c */
void  charsmap_free(Charsmap *m);
void  charsmap_write(Work *w, const Charsmap *m, Piece p);
int   byte_char(unsigned char b, char out[4]);               /* the character that stands for a byte in byte-level vocabularies; its length */
int   byte_of_char(uint32_t cp);                             /* and back; -1: stands for none */

/* --- added.c: tokens found in the text before anything else ----------------------------------------------------------------------- */
typedef struct Added {
    Str     content;    /* as in the file */
    Str     text;       /* what decoding writes: the normalised content when `normalized` */
    int32_t id;
    bool    single_word, lstrip, rstrip, normalized, special;
} Added;

typedef struct TrieNode { int32_t child, sibling, added; unsigned char byte; } TrieNode; /* -1: none */
typedef struct Trie { VEC(TrieNode) nodes; int32_t root[256]; } Trie;

typedef struct AddedSet {
    VEC(Added) list;
    Map       *by_content;       /* content -> index in list */
    Trie       raw[2], norm[2];  /* [1]: without the special ones, for TOK_PLAIN */
    Pattern    word;             /* one \w */
} AddedSet;

int  added_parse(Tok *t, const Json *list, size_t n_file, const char *where, Err *e); /* the first n_file of the list need ids; a later one replaces an equal content */
void added_release(AddedSet *a);
void added_cut(Work *w, const AddedSet *a, const Trie *trie); /* text pieces -> text pieces and finished ones */

/* --- bpe.c ------------------------------------------------------------------------------------------------------------------------ */
typedef struct Merge { uint64_t pair; uint32_t rank; int32_t to; } Merge; /* pair: left id << 32 | right id; to -1: free slot */

#define BPE_LOW 0x3000u /* characters below have their id in a table */

typedef struct Bpe {
    const Map *vocab;       /* the Tok's */
    Merge  *merges;         /* open addressing */
    size_t  merge_mask;
    int32_t low[BPE_LOW];   /* id of the one-character entry; -1: none */
    int32_t fallback[256];  /* id of "<0xNN>"; -1: none */
    int32_t byte_id[256];   /* id of byte_char(b) */
    bool    raw;            /* the last pre-tokenizer step would spell out bytes: pieces stay raw and byte_id does it */
    Map    *raw_vocab;      /* raw && ignore_merges: bytes -> id */
    Str     prefix, suffix; /* continuing_subword_prefix, end_of_word_suffix */
    Str     unk;            /* its text; n == 0: none */
    int32_t unk_id;         /* -1: none, or not in the vocabulary (an error when it is needed) */
    bool    byte_fallback, fuse_unk, ignore_merges;
} Bpe;

int         bpe_parse(Tok *t, const Json *model, const char *where, Err *e);
void        bpe_finish(Tok *t);                             /* after steps and added tokens are known */
void        bpe_release(Bpe *b);
BpeScratch *bpe_scratch_new(void);
void        bpe_scratch_free(BpeScratch *s);
size_t      bpe_scratch_held(const BpeScratch *s); /* bytes of the parts that grow with the text */
int         bpe_encode(const Tok *t, Work *w, const Piece *piece, bool guard, TokIds *ids, TokSpans *spans, Err *e);

/* --- unigram.c, wordpiece.c --------------------------------------------------------------------------------------------------------- */
typedef struct Unigram {
    Dat     trie;
    double *scores, min_score; /* [vocab_size] */
    bool   *unmatched;         /* [vocab_size]: text is never cut into these */
    bool    single;            /* sums in single precision, as sentencepiece has them; the tokenizers library has double */
    int32_t unk_id;            /* -1: none */
    int32_t fallback[256];     /* id of "<0xNN>"; -1: none */
    bool    byte_fallback;
} Unigram;

typedef struct WordPiece {
    Dat      trie;
    Str      prefix, unk;
    uint32_t prefix_node;      /* where the trie stands behind the prefix; 0: nothing begins with it, or it is empty */
    int32_t  unk_id;           /* -1: not in the vocabulary (an error when it is needed) */
    size_t   max_chars;        /* longer words are unknown */
    bool     whole;            /* WordLevel: no parts */
} WordPiece;

int  unigram_parse(Tok *t, const Json *model, const char *where, Err *e);
int  unigram_encode(const Tok *t, Work *w, const Piece *piece, bool guard, TokIds *ids, TokSpans *spans, Err *e);
void unigram_release(Unigram *u);
int  wordpiece_parse(Tok *t, const Json *model, const char *where, Err *e);
int  wordlevel_parse(Tok *t, const Json *model, const char *where, Err *e);
int  wordpiece_encode(const Tok *t, Work *w, const Piece *piece, bool guard, TokIds *ids, TokSpans *spans, Err *e);
void wordpiece_release(WordPiece *m);

/* --- decode.c: ids -> text -------------------------------------------------------------------------------------------------------- */
typedef struct Decoder Decoder;

int  decoder_parse(Decoder **out, const Json *decoder, const char *where, Err *e); /* decoder NULL or null: tokens joined by spaces */
void decoder_free(Decoder *d);

/* --- tok_load.c ------------------------------------------------------------------------------------------------------------------- */
/* Every key of a component must be in `known`, a list like "type|prepend": what we do not understand we do not skip. */
int check_keys(const Json *obj, const char *known, const char *where, Err *e);
bool one_char(Str s);
int need_bool(const Json *obj, const char *key, bool *v, const char *where, Err *e);
Str arena_str(Arena *a, Str s);
int vocab_object(Tok *t, const Json *vocab, const char *where, Err *e); /* {"text": id, ...} into t->vocab */

typedef struct Entry { Str text; int32_t added; bool skip; bool special; } Entry; /* text.p NULL: no such id; added: index or -1; skip: decoding leaves it out as special */

/* A kind of model: how it is read, and how one piece becomes ids. guard: entries that are special tokens must not come out (TOK_PLAIN). */
typedef struct TokModel {
    const char *type, *kind;
    int  (*parse)(Tok *t, const Json *model, const char *where, Err *e);
    int  (*encode)(const Tok *t, Work *w, const Piece *piece, bool guard, TokIds *ids, TokSpans *spans, Err *e); /* appends; spans may be NULL */
    void (*finish)(Tok *t);     /* after steps and added tokens are known; NULL: nothing to do */
} TokModel;

struct Tok {
    Arena    arena;        /* texts */
    const TokModel *model;
    Map     *vocab;        /* text -> id */
    size_t   vocab_size;   /* entries as the library counts them: added tokens that are new are numbered from here */
    Str     *entries_of;   /* [vocab_size] texts by id where the file lists them so; else NULL */
    Bpe      bpe;          /* of these three the one that `model` means */
    Unigram  unigram;
    WordPiece wordpiece;
    bool     makes_special; /* the model itself can yield a special token: TOK_PLAIN must look out */
    Steps    normal, pretok;
    AddedSet added;
    TokIds   before, after; /* ids that the template puts around the text */
    Decoder *decoder;
    Entry   *entries;      /* [size] */
    int32_t  size, bos, eos, pad;
    bool     needs_align;  /* a step asks whether a piece starts the user's text */
    const char *kind;
    char     hash[SHA256_HEX];
    struct ChatTemplate *chat; /* the model's own; NULL: it brings none */
    pthread_mutex_t lock;  /* guards the list of idle Work; the only part of a Tok that changes */
    Work    *idle;
};

Work *work_new(void);
void  work_free(Work *w);
Work *tok_work_take(const Tok *t);
void  tok_work_give(const Tok *t, Work *w);

#endif
