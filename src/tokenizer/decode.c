/* decode.c - ids -> text, at once or as they come.
 *
 * The decoder of tokenizer.json is a row of steps through which token texts are pushed one by one; what falls out at the end is the text.
 * tok_decode pushes all ids and ends; a TokStream pushes them when they arrive: the same code, so the pieces of a stream joined are the text
 * of tok_decode by construction. A step holds back only what a later token can still change: the bytes of an unfinished character, a run of
 * byte tokens (one bad byte turns the whole run into U+FFFD), the last token when it is treated specially.
 *
 * Behind a step that joins everything (Fuse, ByteLevel) there is only one token, which arrives in fragments: `fused` says so. A step that
 * cannot work on fragments then waits for the end; in the usual orders of steps none has to. Fragments never end inside a character.
 *
 * To add a decoder: a verb and a row in decoders[]. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/tok_int.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

typedef struct DecodeStep {
    const struct DecodeVerb *verb;
    Pattern pattern;      /* Replace */
    Str     content;      /* what Replace writes; the character of Strip and Metaspace; the suffix of BPEDecoder */
    size_t  start, stop;  /* Strip: at most so many at each end */
    bool    drop_first;   /* Metaspace: the first token loses its marks */
    Str     pad;          /* CTC: dropped; content is the delimiter of words. WordPiece: content is the prefix */
    bool    cleanup;      /* WordPiece, CTC */
    bool    fused;        /* the input is one token in fragments */
} DecodeStep;

struct Decoder {
    Arena arena;
    VEC(DecodeStep) steps;
    bool   fused;         /* while parsing: the output of the last step is one token */
    double growth;        /* while parsing: how many times longer the Replace steps so far can make a text */
};

typedef struct StepState {
    StrBuf hold, tmp;
    size_t count; /* tokens seen, or characters stripped */
    bool   done;
} StepState;

struct TokStream {
    const Tok *t;
    bool       skip_special;
    StepState *state;     /* [steps] */
    Matcher   *matcher;   /* made when a regular expression is met */
    StrBuf    *out;       /* of the push or end in progress */
};

typedef struct DecodeVerb {
    const char *name, *keys;
    int  (*parse)(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e);
    void (*push)(TokStream *st, size_t i, Str token);
    void (*end)(TokStream *st, size_t i); /* NULL: holds nothing back */
    bool joins, streams;                  /* output is one token; works on fragments */
} DecodeVerb;

static bool waits(const DecodeStep *s)
{
    return s->fused && (!s->verb->streams || s->stop > 0);
}

/* Hands a token to step i; behind the last step lies the output. */
static void feed(TokStream *st, size_t i, Str token)
{
    const Decoder *d = st->t->decoder;
    if (i == d->steps.n)
        strbuf_add(st->out, token.p, token.n);
    else if (waits(&d->steps.p[i]))
        strbuf_add(&st->state[i].hold, token.p, token.n);
    else
        d->steps.p[i].verb->push(st, i, token);
}

static void finish(TokStream *st)
{
    const Decoder *d = st->t->decoder;
    for (size_t i = 0; i < d->steps.n; i++) {
        const DecodeStep *s = &d->steps.p[i];
        if (waits(s)) {
            size_t n = st->state[i].hold.n;
            Str whole = { strbuf_take(&st->state[i].hold), n };
            s->verb->push(st, i, whole);
            free((char *)(uintptr_t)whole.p);
        }
        if (s->verb->end)
            s->verb->end(st, i);
    }
}

/* --- verbs ------------------------------------------------------------------------------------------------------------------------ */

static void replace_push(TokStream *st, size_t i, Str token)
{
    const DecodeStep *s = &st->t->decoder->steps.p[i];
    StrBuf *tmp = &st->state[i].tmp;
    PatternIter it = { 0, SIZE_MAX };
    size_t begin, end, done = 0;
    if (s->pattern.re && !st->matcher)
        st->matcher = matcher_new();
    strbuf_clear(tmp);
    while (token.n && pattern_next(&s->pattern, st->matcher, token, &it, &begin, &end, NULL) > 0) {
        strbuf_add(tmp, token.p + done, begin - done);
        strbuf_add(tmp, s->content.p, s->content.n);
        done = end;
    }
    strbuf_add(tmp, token.p + done, token.n - done);
    feed(st, i + 1, strbuf_str(tmp));
}

static void fuse_push(TokStream *st, size_t i, Str token)
{
    feed(st, i + 1, token);
}

static bool at_char(Str s, size_t at, Str c)
{
    return at + c.n <= s.n && memcmp(s.p + at, c.p, c.n) == 0;
}

/* On fragments (stop is 0 then) the count goes on from one fragment to the next. */
static void strip_push(TokStream *st, size_t i, Str token)
{
    const DecodeStep *s = &st->t->decoder->steps.p[i];
    StepState *x = &st->state[i];
    size_t begin = 0, end = token.n;
    if (!s->fused || waits(s)) {
        x->count = 0;
        x->done = false;
    }
    for (; !x->done && x->count < s->start && begin < token.n; x->count++, begin += s->content.n)
        if (!at_char(token, begin, s->content)) {
            x->done = true;
            break;
        }
    for (size_t k = 0; k < s->stop && end - begin >= s->content.n && at_char(token, end - s->content.n, s->content); k++)
        end -= s->content.n;
    feed(st, i + 1, (Str){ token.p + begin, end - begin });
}

static void metaspace_push(TokStream *st, size_t i, Str token)
{
    const DecodeStep *s = &st->t->decoder->steps.p[i];
    StepState *x = &st->state[i];
    bool drop = s->drop_first && (s->fused || x->count == 0);
    x->count = 1;
    strbuf_clear(&x->tmp);
    for (size_t at = 0; at < token.n;)
        if (at_char(token, at, s->content)) {
            if (!drop)
                strbuf_addc(&x->tmp, ' ');
            at += s->content.n;
        } else {
            strbuf_addc(&x->tmp, token.p[at++]);
        }
    feed(st, i + 1, strbuf_str(&x->tmp));
}

static void byte_level_push(TokStream *st, size_t i, Str token)
{
    StepState *x = &st->state[i];
    size_t before = x->hold.n;
    for (size_t at = 0; at < token.n;) {
        uint32_t cp;
        int len = utf8_decode(token.p + at, token.n - at, &cp), byte = byte_of_char(cp);
        if (byte < 0) { /* a token with other characters is taken literally */
            x->hold.n = before;
            strbuf_add(&x->hold, token.p, token.n);
            break;
        }
        strbuf_addc(&x->hold, (char)byte);
        at += (size_t)len;
    }
    size_t ready = utf8_complete(x->hold.p, x->hold.n);
    strbuf_clear(&x->tmp);
    utf8_repair(&x->tmp, (Str){ x->hold.p, ready });
    memmove(x->hold.p, x->hold.p + ready, x->hold.n - ready);
    x->hold.n -= ready;
    feed(st, i + 1, strbuf_str(&x->tmp));
}

static void byte_level_end(TokStream *st, size_t i)
{
    StepState *x = &st->state[i];
    strbuf_clear(&x->tmp);
    utf8_repair(&x->tmp, strbuf_str(&x->hold));
    strbuf_clear(&x->hold);
    feed(st, i + 1, strbuf_str(&x->tmp));
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void fallback_end(TokStream *st, size_t i)
{
    StepState *x = &st->state[i];
    Str run = strbuf_str(&x->hold);
    if (run.n && utf8_valid(run, NULL))
        feed(st, i + 1, run);
    else
        for (size_t k = 0; k < run.n; k++)
            feed(st, i + 1, STR_LIT(REPLACEMENT));
    strbuf_clear(&x->hold);
}

static void fallback_push(TokStream *st, size_t i, Str token)
{
    bool is_byte = token.n == 6 && str_starts(token, "<0x") && token.p[5] == '>' && hex(token.p[3]) >= 0 && hex(token.p[4]) >= 0;
    if (is_byte) {
        strbuf_addc(&st->state[i].hold, (char)(hex(token.p[3]) * 16 + hex(token.p[4])));
        return;
    }
    fallback_end(st, i);
    feed(st, i + 1, token);
}

static void suffix_flush(TokStream *st, size_t i, const char *by)
{
    const DecodeStep *s = &st->t->decoder->steps.p[i];
    StepState *x = &st->state[i];
    Str token = strbuf_str(&x->hold);
    strbuf_clear(&x->tmp);
    for (size_t at = 0; at < token.n;)
        if (at_char(token, at, s->content)) {
            strbuf_addz(&x->tmp, by);
            at += s->content.n;
        } else {
            strbuf_addc(&x->tmp, token.p[at++]);
        }
    feed(st, i + 1, strbuf_str(&x->tmp));
}

/* The suffix becomes a space, but nothing in the last token: so one token is held back. */
static void suffix_push(TokStream *st, size_t i, Str token)
{
    StepState *x = &st->state[i];
    if (st->t->decoder->steps.p[i].fused) {
        strbuf_add(&x->hold, token.p, token.n);
        return;
    }
    if (x->count++)
        suffix_flush(st, i, " ");
    strbuf_clear(&x->hold);
    strbuf_add(&x->hold, token.p, token.n);
}

static void suffix_end(TokStream *st, size_t i)
{
    suffix_flush(st, i, "");
    strbuf_clear(&st->state[i].hold);
}

/* Every `from` in `in`, read from the left, becomes `to`. */
static void replace_all(StrBuf *out, Str in, Str from, const char *to)
{
    strbuf_clear(out);
    for (size_t at = 0; at < in.n;)
        if (from.n && at_char(in, at, from)) {
            strbuf_addz(out, to);
            at += from.n;
        } else {
            strbuf_addc(out, in.p[at++]);
        }
}

/* English spacing put right inside one token, one rule after the other, as the library does it. */
static void cleanup(StrBuf *text, StrBuf *tmp)
{
    static const struct { const char *from, *to; } rules[] = {
        { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" }, { " n't", "n't" }, { " 'm", "'m" }, { " do not", " don't" },
        { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        replace_all(tmp, strbuf_str(text), str_of(rules[i].from), rules[i].to);
        StrBuf was = *text;
        *text = *tmp;
        *tmp = was;
    }
}

static void wordpiece_push(TokStream *st, size_t i, Str token)
{
    const DecodeStep *s = &st->t->decoder->steps.p[i];
    StepState *x = &st->state[i];
    strbuf_clear(&x->tmp);
    if (x->count && at_char(token, 0, s->content))
        token = (Str){ token.p + s->content.n, token.n - s->content.n };
    else if (x->count)
        strbuf_addc(&x->tmp, ' ');
    x->count = 1;
    strbuf_add(&x->tmp, token.p, token.n);
    if (s->cleanup)
        cleanup(&x->tmp, &x->hold);
    strbuf_clear(&x->hold);
    feed(st, i + 1, strbuf_str(&x->tmp));
}

/* Of equal tokens in a row the first counts; the padding goes, the delimiter of words becomes a space, what is empty then is no token. */
static void ctc_push(TokStream *st, size_t i, Str token)
{
    const DecodeStep *s = &st->t->decoder->steps.p[i];
    StepState *x = &st->state[i];
    StrBuf text = { 0 };
    if (x->count && str_eq(strbuf_str(&x->hold), token))
        return;
    x->count = 1;
    strbuf_clear(&x->hold);
    strbuf_add(&x->hold, token.p, token.n);
    replace_all(&text, token, s->pad, "");
    if (s->cleanup) {
        cleanup(&text, &x->tmp);
        replace_all(&x->tmp, strbuf_str(&text), s->content, " ");
        strbuf_clear(&text);
        strbuf_add(&text, x->tmp.p, x->tmp.n);
    }
    if (text.n)
        feed(st, i + 1, strbuf_str(&text));
    strbuf_release(&text);
}

static void join_push(TokStream *st, size_t i, Str token)
{
    if (st->state[i].count++)
        feed(st, i + 1, STR_LIT(" "));
    feed(st, i + 1, token);
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

static int parse_none(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    (void)d, (void)s, (void)c, (void)where, (void)e;
    return 0;
}

static int parse_replace(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    int rc = json_need_str(c, "content", &s->content, where, e);
    if (rc)
        return rc;
    s->content = arena_str(&d->arena, s->content);
    rc = pattern_parse(&s->pattern, json_get(c, "pattern"), &d->arena, where, e);
    double shortest = MAX(1.0, (double)s->pattern.literal.n);
    d->growth *= MAX(1.0, (double)(s->content.n + (s->pattern.re != NULL)) / shortest);
    if (!rc && d->growth > TOK_GROWTH_MAX)
        rc = err_set(e, ERR_INPUT, "%s: the decoder can make a text more than %d times longer, which hone does not accept", where, TOK_GROWTH_MAX);
    return rc;
}

static int parse_char(Decoder *d, DecodeStep *s, const Json *c, const char *key, const char *where, Err *e)
{
    Str text;
    int rc = json_need_str(c, key, &text, where, e);
    if (!rc && !one_char(text))
        rc = err_set(e, ERR_INPUT, "%s: \"%s\" of a decoder should be one character", where, key);
    if (!rc)
        s->content = arena_str(&d->arena, text);
    return rc;
}

static int parse_strip(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    int64_t start, stop;
    int rc = parse_char(d, s, c, "content", where, e);
    rc = rc ? rc : json_need_int(c, "start", &start, where, e);
    rc = rc ? rc : json_need_int(c, "stop", &stop, where, e);
    if (!rc && (start < 0 || stop < 0))
        rc = err_set(e, ERR_INPUT, "%s: \"start\" and \"stop\" of a Strip should not be negative", where);
    if (!rc) {
        s->start = (size_t)start;
        s->stop = (size_t)stop;
    }
    return rc;
}

static int parse_metaspace(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    Str scheme = STR_LIT("always");
    bool old = true, split;
    int rc = parse_char(d, s, c, "replacement", where, e);
    rc = rc ? rc : json_opt_str(c, "prepend_scheme", &scheme, where, e);
    rc = rc ? rc : json_opt_bool(c, "add_prefix_space", &old, where, e);
    rc = rc ? rc : json_opt_bool(c, "split", &split, where, e);
    if (!rc && !str_eqz(scheme, "always") && !str_eqz(scheme, "first") && !str_eqz(scheme, "never"))
        rc = err_set(e, ERR_INPUT, "%s: the prepend_scheme \"%.*s\" should be first, always or never", where, (int)MIN(scheme.n, 60), scheme.p);
    if (!rc && !old && !str_eqz(scheme, "never"))
        rc = err_set(e, ERR_INPUT, "%s: add_prefix_space is false but prepend_scheme is not \"never\"", where);
    s->drop_first = !str_eqz(scheme, "never");
    return rc;
}

static int parse_suffix(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    int rc = json_need_str(c, "suffix", &s->content, where, e);
    if (!rc && !s->content.n)
        rc = err_set(e, ERR_INPUT, "%s: the suffix of a BPEDecoder is empty", where);
    if (!rc)
        s->content = arena_str(&d->arena, s->content);
    return rc;
}

static int parse_wordpiece(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    int rc = json_need_str(c, "prefix", &s->content, where, e);
    rc = rc ? rc : need_bool(c, "cleanup", &s->cleanup, where, e);
    if (!rc)
        s->content = arena_str(&d->arena, s->content);
    return rc;
}

static int parse_ctc(Decoder *d, DecodeStep *s, const Json *c, const char *where, Err *e)
{
    int rc = json_need_str(c, "pad_token", &s->pad, where, e);
    rc = rc ? rc : json_need_str(c, "word_delimiter_token", &s->content, where, e);
    rc = rc ? rc : need_bool(c, "cleanup", &s->cleanup, where, e);
    if (!rc && !s->content.n)
        rc = err_set(e, ERR_INPUT, "%s: the word_delimiter_token of a CTC decoder is empty", where);
    if (!rc) {
        s->pad = arena_str(&d->arena, s->pad);
        s->content = arena_str(&d->arena, s->content);
    }
    return rc;
}

static const DecodeVerb decoders[] = {
    { "ByteLevel", "type|add_prefix_space|trim_offsets|use_regex", parse_none, byte_level_push, byte_level_end, true, false },
    { "ByteFallback", "type", parse_none, fallback_push, fallback_end, false, false },
    { "Replace", "type|pattern|content", parse_replace, replace_push, NULL, false, false },
    { "Fuse", "type", parse_none, fuse_push, NULL, true, true },
    { "Strip", "type|content|start|stop", parse_strip, strip_push, NULL, false, true },
    { "Metaspace", "type|replacement|prepend_scheme|add_prefix_space|split|str_rep", parse_metaspace, metaspace_push, NULL, false, true },
    { "BPEDecoder", "type|suffix", parse_suffix, suffix_push, suffix_end, false, false },
    { "WordPiece", "type|prefix|cleanup", parse_wordpiece, wordpiece_push, NULL, false, false },
    { "CTC", "type|pad_token|word_delimiter_token|cleanup", parse_ctc, ctc_push, NULL, false, false },
};
static const DecodeVerb join_with_spaces = { "", "", parse_none, join_push, NULL, true, false };

static int add_step(Decoder *d, const DecodeVerb *verb, const Json *c, const char *where, Err *e)
{
    if (d->steps.n >= TOK_STEPS_MAX)
        return err_set(e, ERR_INPUT, "%s: more than %d decoders in one list", where, TOK_STEPS_MAX);
    DecodeStep *s = vec_push(&d->steps);
    s->verb = verb;
    s->fused = d->fused;
    d->fused = d->fused || verb->joins;
    return verb->parse(d, s, c, where, e);
}

static int parse_one(Decoder *d, const Json *c, int depth, const char *where, Err *e)
{
    Str type;
    int rc = json_need_str(c, "type", &type, where, e);
    if (rc)
        return rc;
    if (depth >= TOK_NEST_MAX)
        return err_set(e, ERR_INPUT, "%s: decoders are nested more than %d deep", where, TOK_NEST_MAX);
    if (str_eqz(type, "Sequence")) {
        Json *list = NULL;
        rc = check_keys(c, "type|decoders", where, e);
        rc = rc ? rc : json_opt_array(c, "decoders", &list, where, e);
        for (size_t i = 0; !rc && i < json_len(list); i++)
            rc = parse_one(d, json_at(list, i), depth + 1, where, e);
        return rc;
    }
    for (size_t i = 0; i < ARRAY_LEN(decoders); i++)
        if (str_eqz(type, decoders[i].name)) {
            rc = check_keys(c, decoders[i].keys, where, e);
            return rc ? rc : add_step(d, &decoders[i], c, where, e);
        }
    return err_set(e, ERR_INPUT, "%s: the decoder \"%.*s\" is not one that hone knows", where, (int)MIN(type.n, 60), type.p);
}

int decoder_parse(Decoder **out, const Json *decoder, const char *where, Err *e)
{
    Decoder *d = *out = mem_zalloc(1, sizeof *d);
    d->growth = 1;
    if (!decoder || json_kind(decoder) == JSON_NULL)
        return add_step(d, &join_with_spaces, NULL, where, e);
    return parse_one(d, decoder, 0, where, e);
}

void decoder_free(Decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->steps.n; i++)
        pattern_release(&d->steps.p[i].pattern);
    vec_release(&d->steps);
    arena_release(&d->arena);
    free(d);
}

/* --- streams ---------------------------------------------------------------------------------------------------------------------- */

static void stream_init(TokStream *s, const Tok *t, bool skip_special)
{
    *s = (TokStream){ .t = t, .skip_special = skip_special };
    s->state = mem_zalloc(t->decoder->steps.n, sizeof *s->state);
}

static void stream_release(TokStream *s)
{
    for (size_t i = 0; i < s->t->decoder->steps.n; i++) {
        strbuf_release(&s->state[i].hold);
        strbuf_release(&s->state[i].tmp);
    }
    free(s->state);
    matcher_free(s->matcher);
}

TokStream *tok_stream_new(const Tok *t, bool skip_special)
{
    TokStream *s = mem_alloc(sizeof *s);
    stream_init(s, t, skip_special);
    return s;
}

void tok_stream_push(TokStream *s, int32_t id, StrBuf *out)
{
    const Tok *t = s->t;
    if (id < 0 || id >= t->size || !t->entries[id].text.p || (s->skip_special && t->entries[id].skip))
        return;
    int32_t added = t->entries[id].added;
    s->out = out;
    feed(s, 0, added >= 0 ? t->added.list.p[added].text : t->entries[id].text);
}

void tok_stream_end(TokStream *s, StrBuf *out)
{
    s->out = out;
    finish(s);
}

void tok_stream_free(TokStream *s)
{
    if (!s)
        return;
    stream_release(s);
    free(s);
}

void tok_decode(const Tok *t, const int32_t *ids, size_t n, bool skip_special, StrBuf *out)
{
    TokStream s;
    stream_init(&s, t, skip_special);
    for (size_t i = 0; i < n; i++)
        tok_stream_push(&s, ids[i], out);
    tok_stream_end(&s, out);
    stream_release(&s);
}
