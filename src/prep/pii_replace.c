/* pii_replace.c - walks a text span by span and puts in what the policy says. */
#include "prep/pii_replace.h"

#include "prep/pii_replace_int.h"

static const char *const mode_names[] = { [PII_REPORT] = "report", [PII_REPLACE] = "replace", [PII_REDACT] = "redact", [PII_HASH] = "hash", [PII_DROP] = "drop" };

bool pii_mode_find(Str name, PiiMode *m)
{
    for (size_t k = 0; k < ARRAY_LEN(mode_names); k++)
        if (str_eqz(name, mode_names[k])) {
            *m = (PiiMode)k;
            return true;
        }
    return false;
}

const char *pii_mode_name(PiiMode m)
{
    return mode_names[m];
}

PiiPolicy pii_policy_default(void)
{
    PiiPolicy p;
    for (int k = 0; k < PII_KINDS; k++)
        p.mode[k] = PII_REPLACE;
    p.mode[PII_PLACE] = p.mode[PII_BIC] = p.mode[PII_COMPANY_ID] = PII_REPORT;
    p.mode[PII_SECRET] = p.mode[PII_URL_LOGIN] = PII_REDACT;
    return p;
}

int pii_replacer_new(PiiReplacer **out, const PiiScanner *s, const PiiPolicy *policy, Str seed, Err *e)
{
    *out = NULL;
    if (seed.n < PII_SEED_MIN)
        return err_set(e, ERR_ARG, "personal data: the seed of the surrogates has %zu bytes, expected %d or more; make one with a random generator and keep it secret", seed.n,
                       PII_SEED_MIN);
    PiiReplacer *r = mem_zalloc(1, sizeof *r);
    r->words = s->words;
    r->policy = policy ? *policy : pii_policy_default();
    pii_hmac_init(&r->hmac, seed);
    *out = r;
    return 0;
}

void pii_replacer_free(PiiReplacer *r)
{
    free(r);
}

void pii_key(const PiiReplacer *r, PiiKind k, Str value, char out[PII_KEY_HEX])
{
    static const char digit[] = "0123456789abcdef";
    StrBuf same = {0};
    uint8_t hash[32];
    pii_normalise(k, value, &same);
    pii_hmac(&r->hmac, "key", pii_kind_info(k)->name, strbuf_str(&same), hash);
    for (size_t i = 0; i < PII_KEY_HEX / 2; i++) {
        out[2 * i] = digit[hash[i] >> 4];
        out[2 * i + 1] = digit[hash[i] & 15];
    }
    out[PII_KEY_HEX - 1] = 0;
    strbuf_release(&same);
}

void pii_replace(const PiiReplacer *r, Str text, const PiiSpans *spans, StrBuf *out, bool *drop)
{
    size_t at = 0;
    *drop = false;
    for (size_t i = 0; i < spans->n; i++) {
        const PiiSpan *s = &spans->p[i];
        const Str value = { text.p + s->begin, s->end - s->begin };
        char key[PII_KEY_HEX];
        BUG_ON(s->begin < at || s->end > text.n || s->begin >= s->end);
        strbuf_add(out, text.p + at, s->begin - at);
        at = s->end;
        switch (r->policy.mode[s->kind]) {
        case PII_REPORT:
            strbuf_add(out, value.p, value.n);
            break;
        case PII_REPLACE:
            pii_surrogate(r, s->kind, s->rule, value, out);
            break;
        case PII_REDACT:
            strbuf_addf(out, "[%s]", pii_kind_info(s->kind)->label);
            break;
        case PII_HASH:
            pii_key(r, s->kind, value, key);
            strbuf_addf(out, "%s_%.12s", pii_kind_info(s->kind)->label, key);
            break;
        case PII_DROP:
            *drop = true;
            break;
        }
    }
    strbuf_add(out, text.p ? text.p + at : "", text.n - at);
}
