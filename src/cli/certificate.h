/* certificate.h - the proof that an exported file computes what it was made from: the file is opened again by this very program and compared with the
 * source (base and adapter as trained) on held-out text. Printed, and stored beside the file.
 * Main struct: Certificate. The order is fixed: texts, source, then (the source may be closed) compare, report. */
#ifndef HONE_CERTIFICATE_H
#define HONE_CERTIFICATE_H

#include "cli/cli.h"

#define CERTIFICATE_TOKENS 512       /* at most, all texts together */
#define CERTIFICATE_TEXT 128         /* tokens of one text */

typedef struct CertText { TokIds ids, again; StrBuf text; } CertText; /* again: what the tokenizer makes of the text that the ids say */

typedef struct Certificate {
    const char *texts;               /* what was compared on: "held-out rows of the run", ... */
    CertText   *text;
    size_t      n_texts;
    TokIds      chat;                /* a sample conversation as the source renders it */
    bool        has_chat;
    char        template_hash[80];
    float      *logits;              /* [tokens, vocab] of the source */
    int64_t     tokens, vocab;
    /* after compare */
    double      difference, largest; /* of two logits; of all logits of the source */
    double      spread;              /* root mean square difference as a share of the root mean square of the source's logits, both around their row's mean */
    double      kl;                  /* mean over tokens of KL(source || file), in nats */
    int64_t     same;                /* positions with the same likeliest token */
    bool        tokenizer_equal, template_equal;
} Certificate;

/* The texts: `data` when given, else the held-out rows of the run at `path`, else sentences of the program's own. */
int  certificate_texts(Certificate *c, const Opened *source, const char *path, const char *data, Err *e);
int  certificate_source(Certificate *c, const Opened *source, Err *e);
int  certificate_compare(Certificate *c, const Opened *again, Err *e);
void certificate_release(Certificate *c);

/* What was written and what is allowed: the largest difference of a logit (`exact`) for number formats that only round, or the spread. */
typedef struct CertClaim {
    const char *path, *format, *type, *source, *notes;
    double      bound;
    bool        exact;
} CertClaim;
bool  certificate_good(const Certificate *c, const CertClaim *claim);
Json *certificate_json(const Certificate *c, const CertClaim *claim);
void  certificate_print(const Certificate *c, const CertClaim *claim);      /* to standard output */
int   certificate_error(const Certificate *c, const CertClaim *claim, const char *kept, Err *e); /* the sentence of a mismatch */

#endif
