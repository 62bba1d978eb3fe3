/* chunk.h - cuts a document's text into passages: for question generation, training and citations. A passage is always one run of bytes of one
 * part, so that it can be shown where it stands. It begins at a heading, a paragraph, a list's line, a table's row or a sentence, in this order of
 * preference, and at a word or a character only where one sentence or word alone is over the target.
 * Same document, same settings, same passages. */
#ifndef HONE_CHUNK_H
#define HONE_CHUNK_H

#include "docs/doc.h"

typedef size_t (*ChunkCount)(void *ctx, Str text); /* units of a text, for instance tokens; monotonic: more text, no fewer units */

typedef struct ChunkCfg {
    size_t     target;      /* units that a passage has at most; 0: 4000 */
    size_t     overlap;     /* units at the end of a passage, in whole sentences, that the next one of the same section repeats; below half of target */
    ChunkCount count;       /* NULL: characters. Pieces are counted one by one and added up, so with tokens a passage may pass the target
                               by what the joints change, rarely more than one token for each piece */
    void      *ctx;
    bool       drop_marked; /* leave out what is marked: quoted replies and signatures of mails */
} ChunkCfg;

typedef struct Chunk {
    size_t part, from, to;  /* bytes [from, to) of doc->part.p[part].text, without white space at the ends */
    Str    text;            /* the same, borrowed from the document */
    size_t units;           /* of text, counted as a whole */
    size_t overlap;         /* bytes at its beginning that the passage before has, too */
    char  *path;            /* headings that it stands under, "Guide > Install"; what several sections share; "" */
    Str    lead;            /* for a passage that begins inside a table: the table's head with its rule, borrowed; else empty */
} Chunk;

typedef struct ChunkList { VEC(Chunk) item; } ChunkList;

int  doc_chunk(const DocOut *doc, const ChunkCfg *cfg, ChunkList *out, Err *e); /* ERR_ARG: overlap is half of target or more */
void chunk_release(ChunkList *l);

/* The end of the sentence that begins at `at` (< s.n): behind its mark and closing quotes, or s.n. Rules, not a model: a full stop ends a sentence
 * before white space and no small letter, unless an initial, an ordinal or a known abbreviation stands before it; 。！？ always do. */
size_t sentence_end(Str s, size_t at);

#endif
