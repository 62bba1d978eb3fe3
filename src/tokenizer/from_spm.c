/* from_spm.c - SentencePiece's tokenizer.model (a ModelProto) -> SpmModel -> tokenizer.json (spm_json.c).
 *
 * A field that changes ids or text has a row in fields[]; what the trainer noted about itself (files, sample sizes, symbols that are pieces
 * anyway) is passed over. What is understood but not done is refused by name: word and character models, a space behind the words, rules for
 * decoding. Whether a bos or eos stands around a text is not in this file: tokenizer_config.json says it (tok_load.c), except for T5, whose
 * tokenizer always ends a text. */
#include <stdio.h>

#include "formats/protobuf.h"
#include "tokenizer/source_int.h"

/* Messages inside ModelProto, by field number. */
enum { IN_PIECES = 1, IN_TRAINER = 2, IN_NORMALIZER = 3, IN_DENORMALIZER = 5 };

typedef struct SpmFile {
    SpmModel m;
    bool     space_behind;     /* treat_whitespace_as_suffix */
    Str      delimiter;        /* pretokenization_delimiter: only the trainer cuts there */
    Str      denormalizer;
} SpmFile;

typedef enum { AS_INT, AS_BOOL, AS_BYTES } FieldAs;
static const struct { uint32_t in, number; FieldAs as; size_t off; const char *name; } fields[] = {
    { IN_TRAINER,      3,  AS_INT,   offsetof(SpmFile, m.kind),          "model_type"                 },
    { IN_TRAINER,      24, AS_BOOL,  offsetof(SpmFile, space_behind),    "treat_whitespace_as_suffix" },
    { IN_TRAINER,      35, AS_BOOL,  offsetof(SpmFile, m.byte_fallback), "byte_fallback"              },
    { IN_TRAINER,      40, AS_INT,   offsetof(SpmFile, m.unk),           "unk_id"                     },
    { IN_TRAINER,      41, AS_INT,   offsetof(SpmFile, m.bos),           "bos_id"                     },
    { IN_TRAINER,      42, AS_INT,   offsetof(SpmFile, m.eos),           "eos_id"                     },
    { IN_TRAINER,      43, AS_INT,   offsetof(SpmFile, m.pad),           "pad_id"                     },
    { IN_NORMALIZER,   2,  AS_BYTES, offsetof(SpmFile, m.charsmap),      "precompiled_charsmap"       },
    { IN_NORMALIZER,   3,  AS_BOOL,  offsetof(SpmFile, m.dummy_prefix),  "add_dummy_prefix"           },
    { IN_NORMALIZER,   4,  AS_BOOL,  offsetof(SpmFile, m.squeeze),       "remove_extra_whitespaces"   },
    { IN_NORMALIZER,   5,  AS_BOOL,  offsetof(SpmFile, m.escape),        "escape_whitespaces"         },
    { IN_DENORMALIZER, 2,  AS_BYTES, offsetof(SpmFile, denormalizer),    "denormalizer charsmap"      },
};

static int want_wire(const PbField *f, PbWire wire, const char *name, const char *where, Err *e)
{
    if (f->wire == wire)
        return 0;
    return err_set(e, ERR_INPUT, "%s: the field \"%s\" should be written as %s, it is %s; this is not a SentencePiece model", where, name,
                   pb_wire_name(wire), pb_wire_name(f->wire));
}

static int read_spec(SpmFile *s, uint32_t in, Str bytes, const char *where, Err *e)
{
    PbReader r = pb_reader(bytes, where);
    PbField f;
    int rc;
    while ((rc = pb_next(&r, &f, e)) > 0) {
        for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
            if (fields[i].in != in || fields[i].number != f.number)
                continue;
            void *to = (char *)s + fields[i].off;
            rc = want_wire(&f, fields[i].as == AS_BYTES ? PB_BYTES : PB_VARINT, fields[i].name, where, e);
            if (rc)
                return rc;
            if (fields[i].as == AS_INT)
                *(int64_t *)to = (int64_t)f.value;
            else if (fields[i].as == AS_BOOL)
                *(bool *)to = f.value != 0;
            else
                *(Str *)to = f.bytes;
        }
    }
    return rc;
}

static int read_piece(SpmFile *s, Str bytes, const char *where, Err *e)
{
    PbReader r = pb_reader(bytes, where);
    PbField f;
    SpmPiece p = { .text = STR_LIT(""), .type = SPM_NORMAL };
    int rc;
    while ((rc = pb_next(&r, &f, e)) > 0) {
        int bad = f.number == 1 ? want_wire(&f, PB_BYTES, "piece", where, e) : f.number == 2 ? want_wire(&f, PB_FIXED32, "score", where, e)
                : f.number == 3 ? want_wire(&f, PB_VARINT, "type", where, e) : 0;
        if (bad)
            return bad;
        if (f.number == 1)
            p.text = f.bytes;
        else if (f.number == 2)
            p.score = (double)pb_float(&f);
        else if (f.number == 3)
            p.type = (int64_t)f.value;
    }
    if (!rc && s->m.pieces.n >= SPM_PIECES_MAX)
        return err_set(e, ERR_INPUT, "%s: the tokenizer has more than the %d pieces that hone takes", where, SPM_PIECES_MAX);
    if (!rc)
        *vec_push(&s->m.pieces) = p;
    return rc;
}

static int read_model(SpmFile *s, Str bytes, const char *where, Err *e)
{
    static const char *const names[] = { [IN_PIECES] = "pieces", [IN_TRAINER] = "trainer_spec", [IN_NORMALIZER] = "normalizer_spec",
                                         [IN_DENORMALIZER] = "denormalizer_spec" };
    PbReader r = pb_reader(bytes, where);
    PbField f;
    int rc;
    while ((rc = pb_next(&r, &f, e)) > 0) {
        if (f.number >= ARRAY_LEN(names) || !names[f.number])
            continue; /* self-test data and extensions */
        rc = want_wire(&f, PB_BYTES, names[f.number], where, e);
        if (!rc)
            rc = f.number == IN_PIECES ? read_piece(s, f.bytes, where, e) : read_spec(s, f.number, f.bytes, where, e);
        if (rc)
            return rc;
    }
    return rc;
}

static int check_model(const SpmFile *s, const char *where, Err *e)
{
    size_t unknown = 0;
    for (size_t i = 0; i < s->m.pieces.n; i++)
        unknown += s->m.pieces.p[i].type == SPM_UNKNOWN;
    if (!s->m.pieces.n)
        return err_set(e, ERR_INPUT, "%s: this SentencePiece model has no pieces; the file was cut or is something else", where);
    if (s->m.kind != SPM_UNIGRAM && s->m.kind != SPM_BPE)
        return err_set(e, ERR_INPUT, "%s: the SentencePiece model is of type %lld (%s); hone reads Unigram (1) and BPE (2)", where, (long long)s->m.kind,
                       s->m.kind == SPM_WORD ? "words" : s->m.kind == SPM_CHAR ? "characters" : "unknown");
    if (s->space_behind)
        return err_set(e, ERR_INPUT, "%s: treat_whitespace_as_suffix is set; hone reads models that put the space before a word", where);
    if (s->denormalizer.n)
        return err_set(e, ERR_INPUT, "%s: the model has a character map for decoding (denormalizer_spec), which hone does not do", where);
    if (unknown != 1)
        return err_set(e, ERR_INPUT, "%s: the model has %zu pieces of type unknown; a SentencePiece model has exactly one", where, unknown);
    if (s->m.unk < 0 || s->m.unk >= (int64_t)s->m.pieces.n || s->m.pieces.p[s->m.unk].type != SPM_UNKNOWN)
        return err_set(e, ERR_INPUT, "%s: unk_id is %lld, but the piece of type unknown is another", where, (long long)s->m.unk);
    return 0;
}

/* --- what the tokenizer class adds ------------------------------------------------------------------------------------------------ */

static const char *const plain_classes[] = {
    "LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast", "TokenizersBackend",
    "PreTrainedTokenizer", "PreTrainedTokenizerFast", "BaichuanTokenizer", "InternLMTokenizer", "InternLM2Tokenizer", "T5Tokenizer", "T5TokenizerFast",
    NULL,
};

/* T5: </s> behind every text, and <extra_id_N> behind the pieces, counting down. */
static int add_t5(Json *tokenizer, const Json *config, const SpmModel *m, const char *where, Err *e)
{
    int64_t extra = 100;
    int rc = json_opt_int(config, "extra_ids", &extra, where, e);
    if (!rc && (extra < 0 || extra > 10000))
        rc = err_set(e, ERR_INPUT, "%s: extra_ids is %lld; a number from 0 to 10000 was expected", where, (long long)extra);
    if (!rc && (m->eos < 0 || m->eos >= (int64_t)m->pieces.n))
        rc = err_set(e, ERR_INPUT, "%s: the tokenizer of T5 ends every text, but the model has no eos piece", where);
    if (rc)
        return rc;
    Json *model = json_get(tokenizer, "model");
    bool bpe = m->kind == SPM_BPE;
    for (int64_t i = 0; i < extra; i++) {
        char name[32];
        int64_t id = (int64_t)m->pieces.n + i;
        snprintf(name, sizeof name, "<extra_id_%lld>", (long long)(extra - 1 - i));
        if (!bpe) {
            Json *pair = json_arr_new();
            json_push(pair, json_str_new(str_of(name)));
            json_push(pair, json_num_new(0.0));
            json_push(json_get(model, "vocab"), pair);
            json_push(json_get(model, "unmatched"), json_int_new(id));
        }
        json_push(json_get(tokenizer, "added_tokens"), source_added(id, str_of(name), true, false));
    }
    char *eos = mem_strndup(m->pieces.p[m->eos].text.p, m->pieces.p[m->eos].text.n);
    json_set(tokenizer, "post_processor", source_template((const char *const[]){ NULL, eos }, (const int64_t[]){ -1, m->eos }));
    free(eos);
    return 0;
}

int tok_json_from_spm(Json **tokenizer, Json **config, Str bytes, const char *where, Err *e)
{
    SpmFile s = { .m = { .kind = SPM_UNIGRAM, .unk = 0, .bos = 1, .eos = 2, .pad = -1, .dummy_prefix = true, .squeeze = true, .escape = true } };
    *tokenizer = NULL;
    int rc = source_check_class(*config, plain_classes, "a SentencePiece model", where, e);
    rc = rc ? rc : read_model(&s, bytes, where, e);
    rc = rc ? rc : check_model(&s, where, e);
    rc = rc ? rc : spm_json(&s.m, tokenizer, config, where, e);
    Str class = source_config_str(*config, "tokenizer_class");
    if (!rc && (str_eqz(class, "T5Tokenizer") || str_eqz(class, "T5TokenizerFast")))
        rc = add_t5(*tokenizer, *config, &s.m, where, e);
    spm_release(&s.m);
    return rc;
}
