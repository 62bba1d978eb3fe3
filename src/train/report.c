/* report.c - the page: what a RunFolder tells, in the order in which a reader asks. Did it help? What did it cost? How did it go? What does the
 * model say now? With which settings? From what, and how can it be done again?
 * Invariants: everything comes from the folder's files (no clock, no path of this process), so the same folder gives the same bytes; everything
 * foreign goes through html_text. To add a section: a write_ function and its row in section[]; a key figure: a call in write_figures. */
#include "train/report.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "train/report_curves.h"
#include "train/report_diff.h"
#include "train/report_html.h"
#include "train/report_read.h"

#define ARROW "\xE2\x86\x92"
#define DASH  "\xE2\x80\x93"

#define HARDLY       0.01 /* share of the loss: a smaller change is called hardly any */
#define FEW_EXAMPLES 30   /* held-out examples; of fewer the verdict is only a hint */

/* --- small things -------------------------------------------------------------------------------------------------------------------------- */

/* The last name of a path, however it ends: "models/base/" is "base". */
static Str last_name(const char *path)
{
    size_t n = strlen(path), from;
    while (n > 1 && path[n - 1] == '/')
        n--;
    for (from = n; from > 0 && path[from - 1] != '/'; from--)
        ;
    return (Str){ path + from, n - from };
}

static double steps_done(const RunFolder *f)
{
    const double told = row_real(f->done, "steps");
    return isfinite(told) ? told : f->step[STEP_AT].n ? column_last(&f->step[STEP_AT]) : 0;
}

static void put_from_to(StrBuf *out, double a, double b, void (*put)(StrBuf *, double))
{
    put(out, a);
    strbuf_addz(out, " " ARROW " ");
    put(out, b);
}

/* --- title and verdict --------------------------------------------------------------------------------------------------------------------- */

static void write_head(StrBuf *out, const RunFolder *f)
{
    const Str model = last_name(f->cfg.model), run = last_name(f->cfg.out);
    strbuf_addz(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>");
    html_text(out, model.n ? model : STR_LIT("Training run"));
    strbuf_addz(out, run.n ? " \xC2\xB7 " : "");
    html_text(out, run);
    strbuf_addz(out, "</title>\n<style>\n");
    strbuf_addz(out, report_style);
    strbuf_addz(out, "</style>\n</head>\n<body>\n<header>\n<h1>");
    html_text(out, model.n ? model : STR_LIT("Training run"));
    if (run.n) {
        strbuf_addz(out, " <span class=\"run\">");
        html_text(out, run);
        strbuf_addz(out, "</span>");
    }
    strbuf_addz(out, "</h1>\n");
}

/* One option's value as recipe.yaml writes it. */
static void put_option(StrBuf *out, const CfgOption *o, const TrainCfg *cfg)
{
    const CfgOption one[] = { *o, { 0 } };
    StrBuf          line = { 0 };
    cfg_write_yaml(&line, one, cfg, false);
    const size_t skip = strlen(o->name) + 2; /* "name: value\n" */
    strbuf_add(out, line.p + skip, line.n - skip - 1);
    strbuf_release(&line);
}

static void put_named(StrBuf *out, const char *name, const TrainCfg *cfg)
{
    for (const CfgOption *o = train_options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            put_option(out, o, cfg);
}

static void write_subtitle(StrBuf *out, const RunFolder *f)
{
    const Str family = json_str(json_get(f->facts, "family")), started = json_str(json_get(f->facts, "started"));
    strbuf_addz(out, "<p class=\"sub\">");
    if (f->has_recipe) {
        strbuf_addz(out, "Fine-tuned with method ");
        put_named(out, "method", &f->cfg);
        if (f->cfg.method != METHOD_FULL)
            strbuf_addf(out, " of rank %lld", (long long)f->cfg.rank);
        strbuf_addz(out, ", objective ");
        put_named(out, "objective", &f->cfg);
    } else {
        strbuf_addz(out, "The recipe of this run is missing or cannot be read");
    }
    if (family.n) {
        strbuf_addz(out, " \xC2\xB7 model family ");
        html_text(out, family);
    }
    if (started.n) {
        strbuf_addz(out, " \xC2\xB7 started ");
        html_text(out, started);
    }
    strbuf_addz(out, "</p>\n");
}

/* The held-out story in a headline and what belongs beside it. `tone` is the CSS class. */
static const char *verdict_held_out(StrBuf *head, StrBuf *more, const RunFolder *f)
{
    const Column *train = &f->step[STEP_LOSS];
    if (!f->eval[EVAL_AT].n) {
        strbuf_addz(head, "No held-out loss was measured, so whether the model does better on unseen text is not known.");
        if (train->n > 1 && isfinite(train->p[0]) && isfinite(column_last(train))) {
            strbuf_addz(more, "The training loss went from ");
            put_from_to(more, train->p[0], column_last(train), html_loss);
            strbuf_addz(more, ", which a model also reaches by learning its data by heart.");
        }
        return "flat";
    }
    if (!has_best(f)) {
        strbuf_addz(head, "The held-out loss was never a finite number; the training went wrong.");
        return "bad";
    }
    const double first = eval_loss(f, f->first), best = eval_loss(f, f->best), last = column_last(&f->eval[EVAL_LOSS]);
    const double examples = row_real(json_get(f->facts, "held_out"), "examples");
    const char  *tone = "good";
    if (f->eval[EVAL_AT].n == 1) {
        strbuf_addz(head, "The held-out loss was measured only once: ");
        html_loss(head, best);
        strbuf_addf(head, ", %s.", eval_step(f, f->first) == 0 ? "before training" : "so there is nothing to compare it with");
        tone = "flat";
    } else if (f->best == f->first) {
        strbuf_addz(head, "Training did not improve the held-out loss: it was ");
        html_loss(head, first);
        strbuf_addz(head, eval_step(f, f->first) == 0 ? " before training" : " at the first evaluation");
        strbuf_addz(head, " and never lower afterwards.");
        if (eval_step(f, f->first) == 0)
            strbuf_addz(more, "What was saved is the model as it was before training. ");
        tone = "bad";
    } else {
        const bool hardly = !(first - best >= HARDLY * fabs(first));
        strbuf_addf(head, "Held-out loss%s ", hardly ? " hardly moved:" : "");
        put_from_to(head, first, best, html_loss);
        strbuf_addz(head, " (");
        html_change(head, first, best);
        strbuf_addz(head, "), best at step ");
        html_count(head, eval_step(f, f->best));
        strbuf_addz(head, ".");
        tone = hardly ? "flat" : "good";
    }
    if (f->best + 1 < f->eval[EVAL_AT].n && last - best > HARDLY * fabs(best)) {
        strbuf_addf(more, "%s ", f->best != f->first ? "Afterwards it rose to" : "It ended at");
        html_loss(more, last);
        strbuf_addz(more, f->best != f->first ? ", a sign of overfitting; the weights of the best step were kept. " : ". ");
    }
    if (examples > 0 && examples < FEW_EXAMPLES)
        strbuf_addf(more, "It was measured on only %.0f held-out example%s: take it as a hint. ", examples, examples == 1 ? "" : "s");
    return tone;
}

static void write_verdict(StrBuf *out, const RunFolder *f)
{
    StrBuf       head = { 0 }, more = { 0 };
    const char  *tone = verdict_held_out(&head, &more, f);
    const bool   failed = f->has_failed && !f->finished;
    const double total = row_real(f->facts, "total_steps");
    strbuf_addf(out, "<div class=\"verdict %s\">\n", failed ? "bad" : f->finished ? tone : "flat");
    if (failed) {
        strbuf_addz(out, "<p>The run failed: ");
        html_text(out, f->failed.n ? strbuf_str(&f->failed) : STR_LIT("FAILED does not say why."));
        strbuf_addz(out, "</p>\n");
    } else if (!f->finished) {
        strbuf_addz(out, "<p>The run is not finished: ");
        html_count(out, steps_done(f));
        if (isfinite(total)) {
            strbuf_addz(out, " of ");
            html_count(out, total);
        }
        strbuf_addz(out, " steps are done. The same command goes on from the last checkpoint.</p>\n");
    }
    strbuf_addf(out, "<p>%s</p>\n", strbuf_z(&head));
    if (more.n)
        strbuf_addf(out, "<p>%s</p>\n", strbuf_z(&more));
    strbuf_addz(out, "</div>\n");
    strbuf_release(&head);
    strbuf_release(&more);
}

/* --- key figures and warnings ---------------------------------------------------------------------------------------------------------------- */

/* Appends a figure and empties its two texts for the next. */
static void put_figure(StrBuf *out, const char *name, StrBuf *value, StrBuf *detail)
{
    strbuf_addf(out, "<div><dt>%s</dt><dd class=\"value\">%s</dd>", name, value->n ? strbuf_z(value) : DASH);
    if (detail->n)
        strbuf_addf(out, "<dd class=\"detail\">%s</dd>", strbuf_z(detail));
    strbuf_addz(out, "</div>\n");
    strbuf_clear(value);
    strbuf_clear(detail);
}

static void put_steps(StrBuf *value, StrBuf *detail, const RunFolder *f)
{
    const double total = row_real(f->facts, "total_steps"), epoch = column_last(&f->step[STEP_EPOCH]);
    html_count(value, steps_done(f));
    if (isfinite(total)) {
        strbuf_addz(value, " of ");
        html_count(value, total);
    }
    if (isfinite(epoch)) {
        html_epochs(detail, epoch);
        strbuf_addz(detail, " epochs");
    }
    if (json_bool(json_get(f->done, "stopped_early")))
        strbuf_addf(detail, "%sstopped early: %lld evaluations without a better one", detail->n ? ", " : "", (long long)f->cfg.patience);
}

static void write_figures(StrBuf *out, const RunFolder *f)
{
    StrBuf       value = { 0 }, detail = { 0 };
    const double told = row_real(f->done, "tokens_per_second"), speed = isfinite(told) ? told : f->tokens / f->seconds;
    const double trained = row_real(f->facts, "trained_parameters"), all = row_real(f->facts, "parameters");
    strbuf_addz(out, "<dl class=\"figures\">\n");
    if (has_best(f)) {
        put_from_to(&value, eval_loss(f, f->first), eval_loss(f, f->best), html_loss);
        strbuf_addz(&detail, "perplexity ");
        put_from_to(&detail, exp(eval_loss(f, f->first)), exp(eval_loss(f, f->best)), html_short);
    }
    put_figure(out, "Held-out loss, first " ARROW " best", &value, &detail);
    put_steps(&value, &detail, f);
    put_figure(out, "Optimizer steps", &value, &detail);
    html_count(&value, f->tokens);
    html_count(&detail, f->trained_tokens);
    strbuf_addz(&detail, " of them trained on");
    put_figure(out, "Tokens seen", &value, &detail);
    html_seconds(&value, isfinite(f->seconds) ? f->seconds : row_real(f->done, "seconds"));
    strbuf_addz(&detail, "in training steps, evaluations not counted");
    put_figure(out, "Time", &value, &detail);
    const double joules = row_real(f->done, "energy_joules");
    if (isfinite(joules)) {
        html_short(&value, joules / 3600);
        strbuf_addz(&value, "\xC2\xA0Wh");
        strbuf_addz(&detail, "that the card took, evaluations counted");
        put_figure(out, "Energy", &value, &detail);
    }
    html_short(&value, speed);
    strbuf_addz(&detail, "tokens per second, on average");
    put_figure(out, "Speed", &value, &detail);
    if (isfinite(trained / all)) {
        html_short(&value, 100 * trained / all);
        strbuf_addz(&value, "\xC2\xA0%");
    }
    html_count(&detail, trained);
    strbuf_addz(&detail, f->has_recipe && f->cfg.method == METHOD_FULL ? " of the model's " : " beside the model's ");
    html_count(&detail, all);
    put_figure(out, "Trained parameters", &value, &detail);
    strbuf_addz(out, "</dl>\n");
    strbuf_release(&value);
    strbuf_release(&detail);
}

static void put_counted(StrBuf *out, const Map *m)
{
    for (size_t i = 0; i < map_count(m); i++) {
        strbuf_addz(out, "<li>");
        html_text(out, map_key(m, i));
        if (map_value(m, i) > 1)
            strbuf_addf(out, " <span class=\"sub\">(%lld times)</span>", (long long)map_value(m, i));
        strbuf_addz(out, "</li>\n");
    }
}

static void write_warnings(StrBuf *out, const RunFolder *f)
{
    if (!map_count(f->warnings) && !map_count(f->notes))
        return;
    strbuf_addz(out, "<h2>Warnings</h2>\n<ul class=\"warnings\">\n");
    put_counted(out, f->warnings);
    put_counted(out, f->notes);
    strbuf_addz(out, "</ul>\n");
}

/* --- samples ------------------------------------------------------------------------------------------------------------------------------- */

static Str trimmed(const StrBuf *b)
{
    Str s = strbuf_str(b);
    while (s.n && strchr(" \t\r\n", s.p[0]))
        s = (Str){ s.p + 1, s.n - 1 };
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool as_expected(const Sample *s, const Answer *a) { return str_eq(trimmed(&a->text), trimmed(&s->expected)); }

/* The answer that stands for the trained model: of the weights that were kept, unless those are the untrained ones. */
static const Answer *after(const Sample *s) { return s->best.step > s->first.step ? &s->best : &s->last; }

static void put_answer(StrBuf *out, const char *class, const char *title, const StrBuf *html, bool match)
{
    strbuf_addf(out, "<div class=\"%s\"><h4>%s%s</h4><div class=\"text\" dir=\"auto\">%s</div></div>\n", class, title,
                match ? " <span class=\"match\">\xE2\x9C\x93 as expected</span>" : "",
                html->n ? strbuf_z(html) : "<span class=\"sub\">(empty)</span>");
}

static void write_sample(StrBuf *out, const Sample *s, size_t number)
{
    const Answer *now = after(s);
    StrBuf        first = { 0 }, last = { 0 }, want = { 0 }, title = { 0 };
    strbuf_addf(out, "<article class=\"sample\">\n<h3>%zu. <span class=\"sub\">", number);
    html_text(out, strbuf_str(&s->file));
    strbuf_addf(out, ", line %lld</span></h3>\n<h4>Prompt</h4><div class=\"text prompt\" dir=\"auto\">", (long long)s->line);
    html_text(out, strbuf_str(&s->prompt));
    strbuf_addz(out, "</div>\n<div class=\"answers\">\n");
    diff_html(&first, NULL, strbuf_str(&s->first.text), strbuf_str(&s->expected));
    diff_html(&last, &want, strbuf_str(&now->text), strbuf_str(&s->expected));
    strbuf_addf(&title, s->first.step ? "First, step %lld" : "Before training", (long long)s->first.step);
    put_answer(out, "before", strbuf_z(&title), &first, as_expected(s, &s->first));
    if (now->step != s->first.step) {
        strbuf_clear(&title);
        strbuf_addf(&title, now == &s->best ? "Best, step %lld" : "Last, step %lld", (long long)now->step);
        put_answer(out, "after", strbuf_z(&title), &last, as_expected(s, now));
    }
    put_answer(out, "wanted", "Expected", &want, false);
    strbuf_addz(out, "</div>\n</article>\n");
    strbuf_release(&first);
    strbuf_release(&last);
    strbuf_release(&want);
    strbuf_release(&title);
}

static void write_samples(StrBuf *out, const RunFolder *f)
{
    size_t before = 0, now = 0;
    strbuf_addz(out, "<h2>Held-out prompts, before and after</h2>\n");
    if (!f->sample.n) {
        strbuf_addz(out, "<p class=\"none\">No prompt was answered in this run.</p>\n");
        return;
    }
    for (size_t i = 0; i < f->sample.n; i++) {
        before += as_expected(&f->sample.p[i], &f->sample.p[i].first);
        now += as_expected(&f->sample.p[i], after(&f->sample.p[i]));
    }
    strbuf_addf(out, "<p>Exactly the expected answer: %zu of %zu before, <strong>%zu of %zu after</strong>. The prompts are from the held-out "
                     "data.</p>\n", before, f->sample.n, now, f->sample.n);
    strbuf_addz(out, "<p class=\"note\"><mark class=\"extra\">Marked</mark> in an answer: not in the expected one. "
                     "<mark class=\"missing\">Marked</mark> in the expected answer: missing from the one after training.</p>\n");
    for (size_t i = 0; i < f->sample.n; i++)
        write_sample(out, &f->sample.p[i], i + 1);
}

/* --- recipe and provenance ------------------------------------------------------------------------------------------------------------------- */

static void write_recipe(StrBuf *out, const RunFolder *f)
{
    TrainCfg defaults = { 0 };
    strbuf_addz(out, "<h2>Recipe</h2>\n");
    if (!f->has_recipe) {
        strbuf_addz(out, "<p class=\"none\">recipe.yaml is missing or cannot be read.</p>\n");
        return;
    }
    cfg_defaults(train_options, &defaults);
    strbuf_addz(out, "<p class=\"note\">Bold, with a bar: differs from the default. Where the default leaves the choice to hone (0, auto), the "
                     "value is what it chose or was told.</p>\n<div class=\"scroll\"><table class=\"options\">\n"
                     "<thead><tr><th>option</th><th>value</th><th>default</th><th>what it does</th></tr></thead>\n<tbody>\n");
    for (const CfgOption *o = train_options; o->name; o++) {
        StrBuf value = { 0 }, usual = { 0 };
        if (o->hidden)
            continue;
        put_option(&value, o, &f->cfg);
        put_option(&usual, o, &defaults);
        const bool same = str_eq(strbuf_str(&value), strbuf_str(&usual));
        strbuf_addf(out, "<tr%s><td><code>%s</code></td><td><code>", same ? "" : " class=\"set\"", o->name);
        html_text(out, strbuf_str(&value));
        strbuf_addz(out, "</code></td><td>");
        if (!same && o->def) {
            strbuf_addz(out, "<code>");
            html_text(out, strbuf_str(&usual));
            strbuf_addz(out, "</code>");
        }
        strbuf_addz(out, "</td><td>");
        html_textz(out, o->help);
        strbuf_addz(out, "</td></tr>\n");
        strbuf_release(&value);
        strbuf_release(&usual);
    }
    strbuf_addz(out, "</tbody></table></div>\n");
    cfg_release(train_options, &defaults);
}

static void put_fact(StrBuf *out, const char *name, const StrBuf *html)
{
    if (html->n)
        strbuf_addf(out, "<tr><th>%s</th><td>%s</td></tr>\n", name, strbuf_z(html));
}

/* A fact of run.json as it stands there: a text, or a whole number. */
static void put_plain_fact(StrBuf *out, const char *name, const Json *j)
{
    StrBuf html = { 0 };
    if (j && json_kind(j) == JSON_STRING)
        html_text(&html, json_str(j));
    else if (j && json_kind(j) == JSON_INT)
        html_count(&html, json_num(j));
    put_fact(out, name, &html);
    strbuf_release(&html);
}

static void put_data_facts(StrBuf *out, const char *name, const Json *data)
{
    static const struct { const char *key, *text; bool always; } count[] = {
        { "examples", "examples", true },  { "tokens", "tokens", true }, { "trained_tokens", "of them trained on", true },
        { "longest", "tokens in the longest", true }, { "dropped_long", "dropped as too long", false }, { "cut_long", "cut as too long", false },
    };
    StrBuf      html = { 0 };
    const Json *files = json_get(data, "files");
    for (size_t i = 0; i < json_len(files); i++) {
        const Json *file = json_at(files, i);
        html_text(&html, json_str(json_get(file, "path")));
        strbuf_addz(&html, " <span class=\"sub\">(");
        html_text(&html, json_str(json_get(file, "kind")));
        strbuf_addz(&html, ")</span><br/><code>sha256 ");
        html_text(&html, json_str(json_get(file, "sha256")));
        strbuf_addz(&html, "</code><br/>");
    }
    const char *gap = "";
    for (size_t i = 0; i < ARRAY_LEN(count); i++) {
        const double v = row_real(data, count[i].key);
        if (!isfinite(v) || (v == 0 && !count[i].always))
            continue;
        strbuf_addz(&html, gap);
        html_count(&html, v);
        strbuf_addf(&html, " %s", count[i].text);
        gap = ", ";
    }
    put_fact(out, name, &html);
    strbuf_release(&html);
}

/* As a shell reads it: quoted unless it is plain. */
static void put_shell_word(StrBuf *out, const char *word)
{
    if (word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:=+,@%-")] == '\0') {
        strbuf_addz(out, word);
        return;
    }
    strbuf_addc(out, '\'');
    for (; *word; word++)
        *word == '\'' ? strbuf_addz(out, "'\\''") : strbuf_addc(out, *word);
    strbuf_addc(out, '\'');
}

static void put_command(StrBuf *out, const RunFolder *f)
{
    StrBuf recipe = { 0 }, again = { 0 }, command = { 0 };
    Str    run = str_of(f->cfg.out);
    while (run.n > 1 && run.p[run.n - 1] == '/')
        run.n--;
    strbuf_addf(&recipe, "%.*s/recipe.yaml", (int)run.n, run.p);
    strbuf_addf(&again, "%.*s-again", (int)run.n, run.p);
    strbuf_addz(&command, "hone train ");
    put_shell_word(&command, strbuf_z(&recipe));
    strbuf_addz(&command, " --out ");
    put_shell_word(&command, strbuf_z(&again));
    strbuf_addz(out, "<pre>");
    html_text(out, strbuf_str(&command));
    strbuf_addz(out, "</pre><span class=\"sub\">The same data, recipe and version on the same kind of processor give the same weights, "
                     "whatever the number of threads.</span>");
    strbuf_release(&recipe);
    strbuf_release(&again);
    strbuf_release(&command);
}

static void write_provenance(StrBuf *out, const RunFolder *f)
{
    static const struct { const char *key, *name; } plain[] = {
        { "started", "Started" }, { "hone_version", "Version of hone" }, { "backend", "Computed on" },
        { "cpu_features", "Processor features" }, { "threads", "Threads" },
    };
    StrBuf   html = { 0 };
    JsonIter it = { 0 };
    Str      key;
    Json    *hash;
    strbuf_addz(out, "<h2>Where it comes from</h2>\n<div class=\"scroll\"><table class=\"facts\">\n<tbody>\n");
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        put_plain_fact(out, plain[i].name, json_get(f->facts, plain[i].key));
    if (f->has_recipe)
        strbuf_addf(&html, "%lld", (long long)f->cfg.seed);
    put_fact(out, "Seed", &html);
    strbuf_clear(&html);
    html_textz(&html, f->cfg.model);
    while (json_each(json_get(f->facts, "base_sha256"), &it, &key, &hash)) {
        strbuf_addz(&html, html.n ? "<br/>" : "");
        html_text(&html, key);
        strbuf_addz(&html, " <code>sha256 ");
        html_text(&html, json_str(hash));
        strbuf_addz(&html, "</code>");
    }
    put_fact(out, "Base model", &html);
    put_data_facts(out, "Training data", json_get(f->facts, "data"));
    put_data_facts(out, "Held-out data", json_get(f->facts, "held_out"));
    strbuf_clear(&html);
    if (isfinite(row_real(f->facts, "padding_share"))) {
        html_short(&html, 100 * row_real(f->facts, "padding_share"));
        strbuf_addz(&html, "\xC2\xA0% of the computed places");
    }
    put_fact(out, "Padding", &html);
    strbuf_clear(&html);
    if (isfinite(row_real(f->done, "train_serve_difference"))) {
        html_short(&html, row_real(f->done, "train_serve_difference"));
        strbuf_addz(&html, ", the largest difference of a log-probability between training and answering");
    }
    put_fact(out, "Same model in use", &html);
    strbuf_clear(&html);
    if (f->has_recipe)
        put_command(&html, f);
    put_fact(out, "To do it again", &html);
    strbuf_addz(out, "</tbody></table></div>\n");
    strbuf_release(&html);
}

/* --- the page -------------------------------------------------------------------------------------------------------------------------------- */

static void (*const section[])(StrBuf *, const RunFolder *) = { write_warnings, report_curves, write_samples, write_recipe, write_provenance };

int report_write(const char *run, Err *e)
{
    RunFolder f;
    StrBuf    out = { 0 };
    char     *path = path_join(run, "report.html");
    int       rc = run_folder_read(&f, run, e);
    if (rc)
        goto done;
    write_head(&out, &f);
    write_subtitle(&out, &f);
    write_verdict(&out, &f);
    write_figures(&out, &f);
    strbuf_addz(&out, "</header>\n<main>\n");
    for (size_t i = 0; i < ARRAY_LEN(section); i++)
        section[i](&out, &f);
    strbuf_addz(&out, "</main>\n<footer>Written by hone " HONE_VERSION " from the files of the run folder; it can be made again at any time."
                      "</footer>\n</body>\n</html>\n");
    rc = file_write_atomic(path, out.p, out.n, e);
done:
    run_folder_release(&f);
    strbuf_release(&out);
    free(path);
    return rc;
}
