/* test_report.c - report.html of small run folders made here: what it must show, that foreign text cannot break out, that long curves are
 * thinned, that missing, cut and wrong files are told instead of crashing, and that the page is well formed in every one of these cases. */
#include "base/check.h"

#include "base/file_test.h"
#include "base/mem.h"
#include "train/report.h"
#include "train/report_diff.h"
#include "train/report_html.h"
#include "train/report_svg.h"

#include <math.h>
#include <stdio.h>

static const char recipe[] = "model: models/tiny-base/\ndata: [data/a.jsonl]\nout: runs/first one\neval: \"0.1\"\nlr: 0.0005\nrank: 8\nclip: 1\nseed: 7\n";
static const char facts[] =
    "{\"hone_version\":\"0.1.0\",\"started\":\"2026-11-22T19:42:53Z\",\"backend\":\"cpu\",\"cpu_features\":\"avx2 fma\",\"threads\":4,\"family\":\"llama\","
    "\"parameters\":1000000,\"trained_parameters\":25000,\"total_steps\":30,\"padding_share\":0.125,\"base_sha256\":{\"model.safetensors\":\"abc123\"},"
    "\"data\":{\"files\":[{\"path\":\"data/a.jsonl\",\"kind\":\"pair\",\"sha256\":\"dada42\"}],\"examples\":500,\"tokens\":20000,\"trained_tokens\":9000,"
    "\"dropped_long\":0,\"cut_long\":2,\"longest\":99},\"held_out\":{\"files\":[],\"examples\":12,\"tokens\":800,\"trained_tokens\":300}}";

static void put(const char *dir, const char *name, Str text)
{
    Err   e;
    char *path = path_join(dir, name);
    if (file_write_atomic(path, text.p, text.n, &e))
        fail_msg("%s", e.text);
    free(path);
}

static void add_step(StrBuf *b, int64_t step, double epoch, double loss)
{
    strbuf_addf(b, "{\"step\":%lld,\"epoch\":%g,\"loss\":%.6f,\"lr\":0.0005,\"grad_norm\":1.5,\"tokens\":%lld,\"trained_tokens\":%lld,\"seconds\":%g,"
                   "\"tokens_per_second\":2000}\n", (long long)step, epoch, loss, (long long)step * 1234, (long long)step * 500, 0.5 * (double)step);
}

static void add_eval(StrBuf *b, int64_t step, double loss, bool best)
{
    strbuf_addf(b, "{\"step\":%lld,\"epoch\":%g,\"eval_loss\":", (long long)step, (double)step / 15);
    if (isfinite(loss))
        strbuf_addf(b, "%.6f", loss);
    else
        strbuf_addz(b, "null"); /* as the journal writes a NaN */
    strbuf_addf(b, ",\"best\":%s,\"seconds\":1}\n", best ? "true" : "false");
}

/* --- well formed? ---------------------------------------------------------------------------------------------------------------------------- */

#define OPEN_MAX 64

typedef struct Checker { const char *p; Str open[OPEN_MAX]; int depth, tags; } Checker;

/* Attributes: name="value" without < in the value, none that runs or fetches something. Leaves p behind the '>'; *closed: by "/>". */
static const char *attributes_fault(Checker *c, bool *closed)
{
    static const char *const foreign[] = { "on", "href", "src", "xlink" };
    for (*closed = false;;) {
        c->p += strspn(c->p, " \n");
        *closed = *c->p == '/';
        c->p += *closed;
        if (*c->p == '>')
            return c->p++, NULL;
        const size_t n = strspn(c->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
        if (*closed || n == 0 || c->p[n] != '=' || c->p[n + 1] != '"')
            return "not an attribute";
        for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
            if (str_starts(str_of(c->p), foreign[i]))
                return "an attribute that a self-contained page has not";
        c->p += n + 2;
        c->p += strcspn(c->p, "\"<");
        if (*c->p != '"')
            return "an attribute without an end";
        c->p++;
    }
}

static const char *tag_fault(Checker *c)
{
    const bool closing = c->p[1] == '/';
    bool       closed;
    Str        name = { c->p + 1 + closing, 0 };
    name.n = strspn(name.p, "abcdefghijklmnopqrstuvwxyz0123456789");
    c->tags++;
    if (name.n == 0)
        return "a < that starts no tag";
    if (str_eqz(name, "script"))
        return "a script";
    if (closing) {
        if (c->depth == 0 || !str_eq(c->open[c->depth - 1], name) || name.p[name.n] != '>')
            return "a tag that closes another";
        c->depth--;
        c->p = name.p + name.n + 1;
        return NULL;
    }
    c->p = name.p + name.n;
    const char *fault = attributes_fault(c, &closed);
    if (fault || closed)
        return fault;
    if (c->depth == OPEN_MAX)
        return "too many open tags";
    c->open[c->depth++] = name;
    return NULL;
}

static const char *text_fault(Checker *c)
{
    static const char *const entity[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
    if ((unsigned char)*c->p < 0x20 && *c->p != '\n' && *c->p != '\t')
        return "a control character";
    if (*c->p++ != '&')
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(entity); i++)
        if (str_starts(str_of(c->p - 1), entity[i]))
            return NULL;
    return "a bare &";
}

/* What is wrong with the page and where, or NULL. */
static const char *form_fault(const char *html, const char **where)
{
    static const char doctype[] = "<!DOCTYPE html>\n";
    Checker c = { .p = html };
    *where = html;
    if (!str_starts(str_of(html), doctype))
        return "no doctype";
    for (c.p += strlen(doctype); *c.p;) {
        *where = c.p;
        const char *fault = *c.p == '<' ? tag_fault(&c) : text_fault(&c);
        if (fault)
            return fault;
    }
    return c.depth ? "a tag is open at the end" : c.tags == 0 ? "no tags" : NULL;
}

static void test_checker(void **state)
{
    static const struct { const char *html; bool good; } row[] = {
        { "<p>a &amp; b<br/><a1 id=\"x\">\xC3\xA9</a1></p>", true }, { "<p><b></p></b>", false }, { "<p>", false },          { "</p>", false },
        { "<p>a & b</p>", false },           { "<p>a < b</p>", false },      { "<p class=x></p>", false }, { "<p class=\"x></p>", false },
        { "<p onclick=\"x\"></p>", false },  { "<a href=\"x\"></a>", false }, { "<script></script>", false }, { "<p>\x1b</p>", false }, { "", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        StrBuf      page = { 0 };
        const char *where;
        strbuf_addf(&page, "<!DOCTYPE html>\n%s", row[i].html);
        if ((form_fault(page.p, &where) == NULL) != row[i].good)
            fail_msg("the checker is wrong about %s", row[i].html);
        strbuf_release(&page);
    }
}

/* Writes the report twice (same bytes), checks its form, returns it. */
static char *report_of(const char *dir)
{
    Err    e;
    char  *path = path_join(dir, "report.html"), *text, *again;
    size_t n, m;
    if (report_write(dir, &e) || file_read_text(path, &text, &n, &e) || report_write(dir, &e) || file_read_text(path, &again, &m, &e))
        fail_msg("%s", e.text);
    assert_string_equal(text, again);
    assert_int_equal(strlen(text), n);
    const char *where, *fault = form_fault(text, &where);
    if (fault)
        fail_msg("%s: %.80s", fault, where);
    free(again);
    free(path);
    return text;
}

static void has(const char *html, const char *part)
{
    if (!strstr(html, part))
        fail_msg("\"%s\" is not in the report", part);
}

static void has_not(const char *html, const char *part)
{
    const char *at = strstr(html, part);
    if (at)
        fail_msg("\"%s\" is in the report: %.80s", part, at);
}

/* --- tests ----------------------------------------------------------------------------------------------------------------------------------- */

static void put_good_run(const char *dir)
{
    StrBuf b = { 0 };
    put(dir, "recipe.yaml", str_of(recipe));
    put(dir, "run.json", str_of(facts));
    add_eval(&b, 0, 2.5, true);
    for (int64_t i = 1; i <= 30; i++) {
        add_step(&b, i, (double)i / 15, 2.4 - 0.02 * (double)i);
        if (i % 10 == 0)
            add_eval(&b, i, i == 20 ? 2.0 : 2.2, i <= 20);
    }
    put(dir, "metrics.jsonl", strbuf_str(&b));
    put(dir, "samples.jsonl", STR_LIT("{\"step\":0,\"file\":\"data/a.jsonl\",\"line\":5,\"prompt\":\"Capital of Peru?\",\"expected\":\"It is Lima.\",\"output\":\"I do not know.\"}\n"
                                      "{\"step\":20,\"file\":\"data/a.jsonl\",\"line\":5,\"prompt\":\"Capital of Peru?\",\"expected\":\"It is Lima.\",\"output\":\" It is Lima.\"}\n"
                                      "{\"step\":30,\"file\":\"data/a.jsonl\",\"line\":5,\"prompt\":\"Capital of Peru?\",\"expected\":\"It is Lima.\",\"output\":\"overcooked\"}\n"));
    put(dir, "log.txt", STR_LIT("2026-11-22T19:42:53Z warning train: only 30 optimizer steps\n2026-11-22T19:42:54Z info train: all well\n"
                                "2026-11-22T19:42:55Z warning train: only 30 optimizer steps\n"));
    put(dir, "DONE", STR_LIT("{\"steps\":30,\"best_step\":20,\"seconds\":15,\"tokens_per_second\":2468,\"train_serve_difference\":1.5e-5,\"stopped_early\":false}"));
    strbuf_release(&b);
}

static void test_good_run(void **state)
{
    static const char *const part[] = {
        "<title>tiny-base \xC2\xB7 first one</title>", "Held-out loss 2.500 \xE2\x86\x92 2.000 (\xE2\x88\x92" "20.0\xC2\xA0%), best at step 20.",
        "class=\"verdict good\"", "Afterwards it rose to 2.200", "only 12 held-out examples", "perplexity 12.2 \xE2\x86\x92 7.39",
        ">30 of 30<", ">37,020<", ">15,000 of them trained on<", ">15 s<", ">2,468<", ">2.50\xC2\xA0%<", "25,000 beside the model's 1,000,000",
        "only 30 optimizer steps <span class=\"sub\">(2 times)</span>", "the mean of the 5 steps around it", ">best 2.000</text>", ">epoch 2</text>",
        "clipped above 1</text>", "0 of 1 before, <strong>1 of 1 after</strong>", "Before training", "Best, step 20", "as expected",
        "Capital of Peru?",
        "<mark class=\"extra\">I do not know</mark>", "<tr class=\"set\"><td><code>rank</code></td><td><code>8</code></td><td><code>16</code></td>",
        "<tr><td><code>epochs</code></td><td><code>3</code></td><td></td>", "sha256 abc123", "sha256 dada42", "2 cut as too long",
        "12.5\xC2\xA0% of the computed",
        "1.50e-05", "hone train &#39;runs/first one/recipe.yaml&#39; --out &#39;runs/first one-again&#39;", "prefers-color-scheme:dark",
        "<desc id=\"loss-desc\">Training loss from 2.380",
    };
    (void)state;
    char *dir = check_dir();
    put_good_run(dir);
    char *html = report_of(dir);
    for (size_t i = 0; i < ARRAY_LEN(part); i++)
        has(html, part[i]);
    has_not(html, "overcooked");
    has_not(html, "all well");
    has_not(html, "dropped as too long");
    has_not(html, dir);
    free(html);
    check_dir_done(dir);
}

/* A run of one evaluation before and `n` after, all of one loss. */
static char *verdict_of(double before, double after, int64_t n)
{
    StrBuf b = { 0 };
    char  *dir = check_dir();
    put(dir, "recipe.yaml", str_of(recipe));
    add_eval(&b, 0, before, true);
    for (int64_t i = 1; i <= n; i++) {
        add_step(&b, i, 0.1, 2);
        add_eval(&b, i, after, false);
    }
    put(dir, "metrics.jsonl", strbuf_str(&b));
    put(dir, "DONE", STR_LIT("{\"steps\":5}"));
    char *html = report_of(dir);
    strbuf_release(&b);
    check_dir_done(dir);
    return html;
}

static void test_verdicts(void **state)
{
    static const struct { double before, after; int64_t n; const char *tone, *says; } row[] = {
        { 2.0, 2.5,   3, "verdict bad",  "Training did not improve the held-out loss: it was 2.000 before training and never lower afterwards." },
        { 2.0, 2.0,   3, "verdict bad",  "What was saved is the model as it was before training." },
        { 2.0, 1.995, 3, "verdict flat", "Held-out loss hardly moved: 2.000 \xE2\x86\x92 1.995" },
        { 2.0, 1.5,   1, "verdict good", "best at step 1." },
        { NAN, NAN,   2, "verdict bad",  "The held-out loss was never a finite number" },
        { NAN, 1.5,   2, "verdict bad",  "it was 1.500 at the first evaluation and never lower afterwards." },
        { 2.0, 0,     0, "verdict flat", "measured only once: 2.000, before training." },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char *html = verdict_of(row[i].before, row[i].after, row[i].n);
        has(html, row[i].tone);
        has(html, row[i].says);
        free(html);
    }
}

static void test_hostile_text(void **state)
{
    (void)state;
    char *dir = check_dir();
    put_good_run(dir);
    put(dir, "recipe.yaml", STR_LIT("model: \"</title><script>alert(1)</script>\"\nout: \"x' & \\\"y\"\ndata: d\n"));
    put(dir, "samples.jsonl", STR_LIT("{\"step\":0,\"file\":\"<img src=x onerror=alert(1)>\",\"line\":1,\"prompt\":\"</pre><script>alert(2)</script>\\u0000\\u001b[31m\\u202e\","
                                      "\"expected\":\"a < b && c > d \\\"q\\\"\",\"output\":\"--></style><svg onload='x'>\\u2028\\ud83d\\ude00\"}\n"));
    put(dir, "log.txt", STR_LIT("t warning <b>bold</b> \xFF\x01\n"));
    put(dir, "run.json", STR_LIT("{\"family\":\"<i>\",\"started\":{},\"threads\":\"<u>\",\"base_sha256\":{\"<a>\":\"<b>\"},\"data\":{\"files\":[{\"path\":\"<p>\"},7]},\"held_out\":[]}"));
    char *html = report_of(dir);
    has_not(html, "<script");
    has_not(html, "<img");
    has_not(html, "onerror=alert(1)>");
    has(html, "&lt;/pre&gt;&lt;script&gt;alert(2)&lt;/script&gt;[U+0000][U+001B][31m[U+202E]");
    has(html, "onload=&#39;");
    has(html, "[U+2028]");
    has(html, "\xF0\x9F\x98\x80");
    has(html, "&lt;b&gt;bold&lt;/b&gt; \xEF\xBF\xBD[U+0001]");
    free(html);
    check_dir_done(dir);
}

static void test_bad_metrics(void **state)
{
    StrBuf b = { 0 };
    (void)state;
    char *dir = check_dir();
    put(dir, "recipe.yaml", str_of(recipe));
    add_eval(&b, 0, 3, true);
    for (int64_t i = 1; i <= 40; i++)
        add_step(&b, i, 0.1, i == 40 ? 1.25 : 9);
    strbuf_addz(&b, "not json\n[1]\n{\"step\":-1,\"loss\":1}\n{\"loss\":1}\n{\"step\":\"x\",\"loss\":1}\n{\"step\":41,\"other\":1}\n");
    strbuf_addz(&b, "{\"step\":30,\"epoch\":0.5,\"loss\":null,\"lr\":1e300,\"grad_norm\":\"big\"}\n"); /* told again after a crash; nothing in it is usable */
    strbuf_addz(&b, "{\"step\":31,\"eval_loss\":null,\"best\":true}\n{\"step\":32,\"loss\":0.5,\"lr\":0.1,\"tok");
    put(dir, "metrics.jsonl", strbuf_str(&b));
    char *html = report_of(dir);
    has(html, "The run is not finished: 30 steps are done");
    has(html, "metrics.jsonl: the last line was only half written and is left out");
    has(html, "2 unreadable lines are left out; the first: metrics.jsonl, line 42");
    has(html, "metrics.jsonl: 4 lines are neither a known row nor a usable one");
    has(html, "1 step has no finite loss and is left out.");
    has(html, "Training did not improve the held-out loss"); /* only the first is finite */
    has_not(html, "nan");
    has_not(html, "1.250"); /* step 40 was told before the crash only */
    free(html);
    strbuf_release(&b);
    check_dir_done(dir);
}

static void test_missing_files(void **state)
{
    static const char *const name[] = { "recipe.yaml", "run.json", "metrics.jsonl", "samples.jsonl", "log.txt", "DONE" };
    (void)state;
    for (size_t i = 0; i <= ARRAY_LEN(name); i++) { /* each one gone, then each one empty, then each one nonsense, then a folder */
        for (int how = 0; how < 4 && i < ARRAY_LEN(name); how++) {
            char *dir = check_dir(), *path = path_join(dir, name[i]);
            put_good_run(dir);
            unlink(path);
            if (how == 1 || how == 2)
                put(dir, name[i], how == 1 ? STR_LIT("") : STR_LIT("\xFF{[<\x01\n\n}]: &a *b"));
            if (how == 3)
                assert_int_equal(dir_make(path, NULL), 0);
            free(report_of(dir));
            free(path);
            check_dir_done(dir);
        }
    }
    char *dir = check_dir();
    put(dir, "metrics.jsonl", STR_LIT("{\"step\":1,\"loss\":2}\n"));
    char *html = report_of(dir);
    has(html, "recipe.yaml is missing or cannot be read.");
    has(html, "No held-out loss was measured");
    has(html, "No prompt was answered in this run.");
    has(html, "There are no values to draw.");
    has(html, ">Training run</h1>");
    free(html);
    check_dir_done(dir);
}

static void test_failed(void **state)
{
    (void)state;
    char *dir = check_dir(), *done = path_join(dir, "DONE");
    put_good_run(dir);
    put(dir, "FAILED", STR_LIT("step 31: the loss is not a number <oops>\n"));
    char *html = report_of(dir);
    has_not(html, "The run failed"); /* DONE came later */
    free(html);
    unlink(done);
    html = report_of(dir);
    has(html, "<div class=\"verdict bad\">\n<p>The run failed: step 31: the loss is not a number &lt;oops&gt;");
    has(html, "best at step 20.");
    free(html);
    free(done);
    check_dir_done(dir);
}

static void test_no_run(void **state)
{
    Err e;
    (void)state;
    char *dir = check_dir(), *none = path_join(dir, "none");
    assert_int_equal(report_write(none, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "there is no such folder");
    put(dir, "notes.txt", STR_LIT("x"));
    assert_int_equal(report_write(dir, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "this is no run folder");
    char *page = path_join(dir, "report.html");
    assert_false(file_exists(page));
    free(page);
    free(none);
    check_dir_done(dir);
}

/* Points of the first path: its M and L commands. */
static size_t points_of(const char *svg)
{
    const char *d = strstr(svg, " d=\"");
    size_t      n = 0;
    assert_non_null(d);
    for (d += 4; *d != '"'; d++)
        n += *d == 'M' || *d == 'L';
    return n;
}

static void test_thinning(void **state)
{
    const size_t n = 1000000;
    StrBuf       svg = { 0 };
    double      *x = mem_alloc(n * sizeof *x), *y = mem_alloc(n * sizeof *y);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)(i + 1);
        y[i] = i % 2 ? 2 : 1;
    }
    y[500000] = 10; /* one spike in a million must still reach the top, one dip the bottom */
    y[700001] = -8;
    ChartLine line = { "loss", "raw", x, y, n, true };
    Chart     c = { .id = "t", .title = "t", .desc = "d", .unit = "u", .x_label = "x", .width = 1040, .height = 380, .line = &line, .n_lines = 1 };
    chart_write(&svg, &c);
    assert_in_range(points_of(svg.p), 900, CHART_POINTS);
    assert_null(strstr(svg.p, "<circle")); /* too many for dots */
    const double top = 26, bottom = 340, room = 0.06 * 18, scale = (bottom - top) / (18 + 2 * room);
    char         high[32], low[32];
    snprintf(high, sizeof high, " %.1fL", bottom - (10 - (-8 - room)) * scale);
    snprintf(low, sizeof low, " %.1fL", bottom - room * scale);
    assert_non_null(strstr(svg.p, high));
    assert_non_null(strstr(svg.p, low));

    strbuf_clear(&svg);
    line.n = 30;
    y[3] = y[5] = y[6] = NAN; /* gaps: 0-2, 4, 7-29 */
    chart_write(&svg, &c);
    assert_int_equal(points_of(svg.p), 27);
    size_t pens = 0;
    for (const char *p = strstr(svg.p, " d=\""); p && (p = strstr(p, "h0")); p++)
        pens++;
    assert_int_equal(pens, 3);

    strbuf_clear(&svg);
    for (size_t i = 0; i < 30; i++)
        y[i] = i % 2 ? INFINITY : 1e200;
    chart_write(&svg, &c);
    assert_non_null(strstr(svg.p, "There are no values to draw."));
    strbuf_release(&svg);
    free(x);
    free(y);
}

static void test_axes(void **state)
{
    static const struct { double lo, hi, steps; const char *y_tick, *x_tick; } row[] = {
        { 0, 2e-4, 240, ">1.5e-4</text>", ">200</text>" },   { 1, 3, 30, ">2.5</text>", ">10</text>" },
        { 0, 45000, 5e5, ">20k</text>", ">200k</text>" },    { 0, 3e6, 1e6, ">2.5M</text>", ">0.5M</text>" },
        { -1, 1, 1, ">-0.5</text>", ">1</text>" },           { 5, 5, 2, ">5.0</text>", ">2</text>" },
        { 1e90, 1e99, 3, "e98</text>", ">3</text>" },        { 1, 1 + 1e-15, 3, ">1.00</text>", ">0</text>" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        StrBuf       svg = { 0 };
        const double x[] = { 1, row[i].steps }, y[] = { row[i].lo, row[i].hi };
        ChartLine    line = { "n", "mean", x, y, 2, false };
        Chart        c = { .id = "t", .title = "t", .desc = "d", .unit = "u", .x_label = "x",
        .width = 620, .height = 300, .line = &line, .n_lines = 1 };
        chart_write(&svg, &c);
        if (!strstr(svg.p, row[i].y_tick) || !strstr(svg.p, row[i].x_tick))
            fail_msg("row %zu: %s or %s is not in\n%s", i, row[i].y_tick, row[i].x_tick, svg.p);
        strbuf_release(&svg);
    }
}

static void test_mean(void **state)
{
    const double y[] = { 1, NAN, 3, 8, 4 };
    double       m[5];
    (void)state;
    chart_mean(m, y, 5, 1);
    const double want[] = { 1, 2, 5.5, 5, 6 };
    for (size_t i = 0; i < 5; i++)
        assert_true(fabs(m[i] - want[i]) < 1e-12);
}

static void test_diff(void **state)
{
    static const struct { const char *got, *want, *got_html, *want_html; } row[] = {
        { "the red cat", "the cat", "the <mark class=\"extra\">red</mark> cat", "the cat" },
        { "a b x y c", "a b c d e", "a b <mark class=\"extra\">x y</mark> c", "a b c <mark class=\"missing\">d e</mark>" },
        { "", "no", "", "<mark class=\"missing\">no</mark>" },
        { " yes\n", "yes", " yes\n", "yes" },
        { "1,5 <", "1.5 <", "1<mark class=\"extra\">,</mark>5 &lt;", "1<mark class=\"missing\">.</mark>5 &lt;" },
        { "\xE6\x9D\xB1\xE4\xBA\xAC", "\xE4\xBA\xAC", "<mark class=\"extra\">\xE6\x9D\xB1</mark>\xE4\xBA\xAC", "\xE4\xBA\xAC" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        StrBuf got = { 0 }, want = { 0 };
        diff_html(&got, &want, str_of(row[i].got), str_of(row[i].want));
        check_text(strbuf_z(&got), row[i].got_html);
        check_text(strbuf_z(&want), row[i].want_html);
        strbuf_release(&got);
        strbuf_release(&want);
    }
    StrBuf many = { 0 }, html = { 0 };
    for (int i = 0; i < 3 * DIFF_WORDS; i++)
        strbuf_addz(&many, "w ");
    diff_html(&html, NULL, strbuf_str(&many), STR_LIT("w"));
    assert_non_null(strstr(html.p, "</mark> w w "));
    strbuf_release(&many);
    strbuf_release(&html);
}

static void test_numbers(void **state)
{
    static const struct { void (*put)(StrBuf *, double); double v; const char *want; } row[] = {
        { html_count, 0, "0" },            { html_count, 999, "999" },           { html_count, 1000, "1,000" },
        { html_count, -123456, "-123,456" },
        { html_count, NAN, "\xE2\x80\x93" }, { html_count, 1e30, "\xE2\x80\x93" }, { html_loss, 1.87, "1.870" },
        { html_loss, 0.01234, "0.01234" },
        { html_loss, 1e9, "1e+09" },       { html_short, 3, "3.00" },            { html_short, 1795.4, "1,795" },    { html_short, 0, "0" },
        { html_seconds, 4.44, "4.4 s" },   { html_seconds, 59.4, "59 s" },       { html_seconds, 61, "1 min 1 s" },
        { html_seconds, 7260, "2 h 1 min" },
        { html_seconds, 1e6, "11 d 13 h" }, { html_seconds, -1, "\xE2\x80\x93" }, { html_seconds, 59.7, "60 s" },     { html_epochs, 2.4, "2.40" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        StrBuf b = { 0 };
        row[i].put(&b, row[i].v);
        check_text(strbuf_z(&b), row[i].want);
        strbuf_release(&b);
    }
}

static void test_full_disk(void **state)
{
    Err e;
    (void)state;
    char *dir = check_dir(), *page = path_join(dir, "report.html");
    put_good_run(dir);
    file_test_fail_after(1000);
    assert_int_equal(report_write(dir, &e), ERR_IO);
    file_test_fail_after(-1);
    check_says(&e, ERR_IO, "report.html");
    assert_false(file_exists(page)); /* whole or not at all */
    free(page);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_run),  cmocka_unit_test(test_verdicts),      cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_bad_metrics),
        cmocka_unit_test(test_missing_files), cmocka_unit_test(test_failed),    cmocka_unit_test(test_no_run),       cmocka_unit_test(test_thinning),
        cmocka_unit_test(test_axes),      cmocka_unit_test(test_mean),          cmocka_unit_test(test_diff),         cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_checker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
