/* model_config.c - config.json -> ModelConfig, with every number checked before anything is sized by it. */
#include "model/model_int.h"

static int need_range(int64_t v, int64_t lo, int64_t hi, const char *what, const char *where, Err *e)
{
    if (v < lo || v > hi)
        return err_set(e, ERR_INPUT, "%s: %s is %lld, expected %lld to %lld", where, what, (long long)v, (long long)lo, (long long)hi);
    return 0;
}

int model_config_check_sizes(const ModelConfig *c, const char *where, Err *e)
{
    int rc;
    if ((rc = need_range(c->hidden, 1, 1 << 17, "the hidden size", where, e)) || (rc = need_range(c->layers, 1, LAYERS_MAX, "the number of layers", where, e)) ||
        (rc = need_range(c->heads, 1, 1024, "the number of attention heads", where, e)) ||
        (rc = need_range(c->kv_heads, 1, c->heads, "the number of key/value heads", where, e)) ||
        (rc = need_range(c->head_dim, 1, 2 * ROPE_PAIRS_MAX, "the head size", where, e)) ||
        (rc = need_range(c->ffn, 1, 1 << 19, "the MLP size", where, e)) || (rc = need_range(c->vocab, 1, 1 << 24, "vocab_size", where, e)) ||
        (rc = need_range(c->max_positions, 1, 1 << 27, "the largest position", where, e)))
        return rc;
    if (c->heads % c->kv_heads)
        return err_set(e, ERR_INPUT, "%s: %lld attention heads cannot share %lld key/value heads evenly", where, (long long)c->heads,
                       (long long)c->kv_heads);
    return 0;
}

static int check(const ModelConfig *c, const char *where, Err *e)
{
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return err_set(e, ERR_INPUT, "%s: the norm's epsilon is %g, expected a small positive number", where, (double)c->norm_eps);
    if (!(c->init_std >= 0 && c->init_std <= 100))
        return err_set(e, ERR_INPUT, "%s: initializer_range is %g, expected a small positive number", where, c->init_std);
    return 0;
}

/* eos_token_id is a number or a list of numbers, in either file; a text ends at any of them. */
static void add_eos(ModelConfig *c, const Json *j)
{
    const Json *v = json_get(j, "eos_token_id");
    size_t      n = v && json_kind(v) == JSON_ARRAY ? json_len(v) : v ? 1 : 0;
    for (size_t i = 0; i < n; i++) {
        const Json *x = json_kind(v) == JSON_ARRAY ? json_at(v, i) : v;
        if (json_kind(x) != JSON_INT)
            continue;
        int32_t id = (int32_t)json_int(x);
        bool    known = false;
        for (int k = 0; k < c->n_eos; k++)
            known |= c->eos[k] == id;
        if (!known && c->n_eos < (int)ARRAY_LEN(c->eos) && json_int(x) >= 0 && json_int(x) < c->vocab)
            c->eos[c->n_eos++] = id;
    }
}

int model_config_read(ModelConfig *c, const Family **fam, const Json *config, const Json *generation, const char *where, Err *e)
{
    Str type;
    int rc = json_need_str(config, "model_type", &type, where, e);
    if (rc)
        return rc;
    *fam = family_find(type);
    if (!*fam) {
        StrBuf names = { 0 };
        family_names(&names);
        rc = err_set(e, ERR_INPUT, "%s: model_type \"%.*s\" is not a family hone knows (%s)", where, (int)MIN(type.n, 60), type.p, strbuf_z(&names));
        strbuf_release(&names);
        return rc;
    }
    if ((rc = family_read_config(c, *fam, config, where, e)) || (rc = json_opt_num(config, "initializer_range", &c->init_std, where, e)) ||
        (rc = check(c, where, e)))
        return rc;
    add_eos(c, config);
    if (generation)
        add_eos(c, generation);
    return 0;
}
