/* questions_veil.h - what a teacher at an address is shown of a passage: personal data and secrets that the scanner finds have invented values in their place, the
 * same ones that rows get (pii_replace.h), and what the teacher says is told back with the own values, so that rows, the index of persons and the way of --pii are
 * those of a document that was never sent. Secrets are shown as [SECRET] and stay that.
 * Main structs: Veil, one for a preparation; Veiled, a passage under it. */
#ifndef HONE_PREP_QUESTIONS_VEIL_H
#define HONE_PREP_QUESTIONS_VEIL_H

#include "base/vec.h"
#include "prep/prep_cfg.h"
#include "prep/questions.h"

typedef struct Veil Veil;

typedef struct VeilPair { char *shown, *own; } VeilPair;
typedef struct Veiled {
    char          *field[5];  /* of PassagePlace, in its order; owned */
    VEC(VeilPair)  pair;      /* the longest shown first */
    bool           personal;  /* something was found that names a person */
} Veiled;

/* *out NULL: nothing is veiled, since no address is asked, --pii changes nothing, or --teacher-sees original. key_path: of the replacements, made when absent. */
int  veil_open(Veil **out, const PrepCfg *c, const char *key_path, Err *e);
void veil_close(Veil *v);
int  veil_passage(const Veil *v, const PassagePlace *p, Veiled *out, Err *e);
PassagePlace veiled_place(const Veiled *w);
/* Invented values of the passage back to its own, where they stand as whole words; a name also by one of its words. Appends. */
void veiled_lift(const Veiled *w, Str text, StrBuf *out);
void veiled_release(Veiled *w);

#endif
