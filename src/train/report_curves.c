/* report_curves.c - see report_curves.h. To add a small chart: a row in chart[] of write_small_charts. */
#include "train/report_curves.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "train/report_html.h"
#include "train/report_svg.h"

#define MEAN_SHARE 25 /* the running mean looks at a 25th of the run: enough to calm it, too little to hide a turn */
#define MEAN_LEAST 20 /* steps; a shorter curve is shown as it is */
#define EPOCHS_MAX 12 /* more epoch borders would be a fence */
#define EVAL_ROWS  30 /* of the table of evaluations, about */

/* A measured curve with its running mean, when it is long enough to need one. */
typedef struct Smoothed { ChartLine line[2]; size_t n_lines, window; double *mean; } Smoothed;

static void smoothed_init(Smoothed *s, const RunFolder *f, int column, const char *name)
{
    const Column *x = &f->step[STEP_AT], *y = &f->step[column];
    *s = (Smoothed){ .line = { { name, "raw", x->p, y->p, x->n, false } }, .n_lines = 1 };
    if (x->n < MEAN_LEAST) {
        s->line[0].style = "mean";
        s->line[0].dots = true;
        return;
    }
    const size_t half = MAX(x->n / MEAN_SHARE / 2, (size_t)2);
    s->window = 2 * half + 1;
    s->mean = mem_alloc(x->n * sizeof *s->mean);
    chart_mean(s->mean, y->p, x->n, half);
    s->line[s->n_lines++] = (ChartLine){ "running mean", "mean", x->p, s->mean, x->n, false };
}

static void put_mean_note(StrBuf *out, const Smoothed *s)
{
    if (!s->window)
        return;
    strbuf_addz(out, "Running mean: each point is the mean of the ");
    html_count(out, (double)s->window);
    strbuf_addz(out, " steps around it (fewer at both ends). ");
}

/* Where an epoch ends inside the run. */
static size_t epoch_rules(ChartRule rule[EPOCHS_MAX], char label[EPOCHS_MAX][16], const RunFolder *f)
{
    const Column *epoch = &f->step[STEP_EPOCH];
    size_t        n = 0;
    if (!(column_last(epoch) <= EPOCHS_MAX))
        return 0;
    for (size_t i = 0; i + 1 < epoch->n && n < EPOCHS_MAX; i++)
        if (epoch->p[i] >= (double)(n + 1)) {
            snprintf(label[n], sizeof label[n], "epoch %zu", n + 2);
            rule[n] = (ChartRule){ f->step[STEP_AT].p[i], label[n] };
            n++;
        }
    return n;
}

static size_t not_finite(const Column *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += isfinite(c->p[i]) ? 0 : 1;
    return n;
}

static void put_loss_desc(StrBuf *desc, const RunFolder *f)
{
    const Column *loss = &f->step[STEP_LOSS];
    if (loss->n) {
        strbuf_addz(desc, "Training loss from ");
        html_loss(desc, loss->p[0]);
        strbuf_addf(desc, " at step %.0f to ", f->step[STEP_AT].p[0]);
        html_loss(desc, column_last(loss));
        strbuf_addf(desc, " at step %.0f. ", column_last(&f->step[STEP_AT]));
    }
    if (has_best(f)) {
        strbuf_addz(desc, "Held-out loss from ");
        html_loss(desc, eval_loss(f, f->first));
        strbuf_addz(desc, " to ");
        html_loss(desc, eval_loss(f, f->best));
        strbuf_addf(desc, ", its lowest, at step %.0f.", eval_step(f, f->best));
    }
}

static void write_loss_chart(StrBuf *out, const RunFolder *f)
{
    Smoothed     s;
    StrBuf       note = { 0 }, desc = { 0 }, best = { 0 };
    ChartRule    rule[EPOCHS_MAX];
    char         label[EPOCHS_MAX][16];
    ChartLine    line[3];
    const size_t bad = not_finite(&f->step[STEP_LOSS]);
    smoothed_init(&s, f, STEP_LOSS, "training loss");
    memcpy(line, s.line, sizeof s.line);
    Chart c = { .id = "loss", .title = "Loss", .unit = "loss: mean of \xE2\x88\x92log p per trained token", .x_label = "optimizer step",
                .width = 1040, .height = 380, .line = line, .n_lines = s.n_lines, .rule = rule, .n_rules = epoch_rules(rule, label, f) };
    if (f->eval[EVAL_AT].n)
        line[c.n_lines++] = (ChartLine){ "held-out loss", "held", f->eval[EVAL_AT].p, f->eval[EVAL_LOSS].p, f->eval[EVAL_AT].n, true };
    if (has_best(f)) {
        strbuf_addz(&best, "best ");
        html_loss(&best, eval_loss(f, f->best));
        c.best_label = strbuf_z(&best);
        c.best_x = eval_step(f, f->best);
        c.best_y = eval_loss(f, f->best);
    }
    put_mean_note(&note, &s);
    if (bad)
        strbuf_addf(&note, "%zu step%s no finite loss and %s left out.", bad, bad == 1 ? " has" : "s have", bad == 1 ? "is" : "are");
    put_loss_desc(&desc, f);
    c.note = note.n ? strbuf_z(&note) : NULL;
    c.desc = strbuf_z(&desc);
    strbuf_addz(out, "<div class=\"wide\">\n");
    chart_write(out, &c);
    strbuf_addz(out, "</div>\n");
    free(s.mean);
    strbuf_release(&note);
    strbuf_release(&desc);
    strbuf_release(&best);
}

static void write_small_charts(StrBuf *out, const RunFolder *f)
{
    static const struct { int column; const char *id, *title, *unit; bool smooth; } chart[] = {
        { STEP_LR,    "rate",     "Learning rate", "after warm-up and schedule", false },
        { STEP_GRAD,  "gradient", "Gradient norm", "Euclidean, before clipping", true },
        { STEP_SPEED, "speed",    "Speed",         "tokens per second", true },
    };
    strbuf_addz(out, "<div class=\"three-up\">\n");
    for (size_t i = 0; i < ARRAY_LEN(chart); i++) {
        const Column *x = &f->step[STEP_AT], *y = &f->step[chart[i].column];
        const ChartLine plain = { "each step", "mean", x->p, y->p, x->n, x->n < MEAN_LEAST };
        StrBuf   desc = { 0 }, level = { 0 };
        Smoothed s;
        smoothed_init(&s, f, chart[i].column, "each step");
        s.line[1].name = "mean"; /* the legend has little room */
        Chart c = { .id = chart[i].id, .title = chart[i].title, .unit = chart[i].unit, .x_label = "optimizer step", .width = 310, .height = 220,
                    .from_zero = true, .line = chart[i].smooth ? s.line : &plain, .n_lines = chart[i].smooth ? s.n_lines : 1 };
        if (chart[i].column == STEP_GRAD && f->has_recipe && f->cfg.clip > 0) {
            c.level = f->cfg.clip;
            strbuf_addf(&level, "clipped above %g", c.level);
            c.level_label = strbuf_z(&level);
        }
        strbuf_addf(&desc, "%s of each optimizer step, at last ", chart[i].title);
        html_short(&desc, column_last(y));
        c.desc = strbuf_z(&desc);
        chart_write(out, &c);
        free(s.mean);
        strbuf_release(&desc);
        strbuf_release(&level);
    }
    strbuf_addz(out, "</div>\n");
}

/* Of very many evaluations every so many-th, but always the first, the best and the last. */
static void write_evaluations(StrBuf *out, const RunFolder *f)
{
    const size_t n = f->eval[EVAL_AT].n, each = (n + EVAL_ROWS - 1) / EVAL_ROWS;
    if (!n)
        return;
    strbuf_addz(out, "<div class=\"scroll\"><table class=\"numbers\">\n<thead><tr><th class=\"number\">step</th><th class=\"number\">epoch</th>"
                     "<th class=\"number\">held-out loss</th><th class=\"number\">perplexity</th>"
                     "<th class=\"number\">against the first</th><th></th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        if (i % each && i != f->best && i + 1 != n)
            continue;
        strbuf_addf(out, "<tr%s><td class=\"number\">", i == f->best ? " class=\"kept\"" : "");
        html_count(out, eval_step(f, i));
        strbuf_addz(out, "</td><td class=\"number\">");
        html_epochs(out, f->eval[EVAL_EPOCH].p[i]);
        strbuf_addz(out, "</td><td class=\"number\">");
        html_loss(out, eval_loss(f, i));
        strbuf_addz(out, "</td><td class=\"number\">");
        html_short(out, exp(eval_loss(f, i)));
        strbuf_addz(out, "</td><td class=\"number\">");
        if (i != f->first)
            html_change(out, eval_loss(f, f->first), eval_loss(f, i));
        strbuf_addf(out, "</td><td>%s</td></tr>\n", i == f->best ? "best: these weights are kept" : "");
    }
    strbuf_addz(out, "</tbody></table></div>\n");
    if (each > 1)
        strbuf_addf(out, "<p class=\"note\">Of %zu evaluations one in %zu is listed, and the first, the best and the last.</p>\n", n, each);
}

void report_curves(StrBuf *out, const RunFolder *f)
{
    strbuf_addz(out, "<h2>Curves</h2>\n");
    if (!f->step[STEP_AT].n && !f->eval[EVAL_AT].n) {
        strbuf_addz(out, "<p class=\"none\">No step has been written down.</p>\n");
        return;
    }
    write_loss_chart(out, f);
    write_small_charts(out, f);
    write_evaluations(out, f);
}
