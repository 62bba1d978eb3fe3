/* report_svg.c - see report_svg.h. A Frame maps values to the drawing; every draw_ function adds one kind of mark through it. */
#include "train/report_svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "train/report_html.h"

#define MARGIN_LEFT   56
#define MARGIN_RIGHT  16
#define MARGIN_TOP    26
#define MARGIN_BOTTOM 40
#define VALUE_MAX     1e100 /* beyond it differences overflow; no curve worth looking at goes there */

typedef struct Frame {
    double x0, x1, y0, y1;            /* range of the values */
    double left, top, right, bottom;  /* of the plot, in drawing units */
} Frame;

static bool drawable(double v) { return isfinite(v) && fabs(v) <= VALUE_MAX; }
static double at_x(const Frame *f, double x) { return f->left + (x - f->x0) / (f->x1 - f->x0) * (f->right - f->left); }
static double at_y(const Frame *f, double y) { return f->bottom - (y - f->y0) / (f->y1 - f->y0) * (f->bottom - f->top); }

/* --- ranges and ticks ---------------------------------------------------------------------------------------------------------------------- */

/* A range must have a width, or nothing can be placed in it. */
static void widen(double *lo, double *hi)
{
    const double least = MAX(1e-9 * MAX(fabs(*lo), fabs(*hi)), 1e-12);
    if (*hi - *lo < least) {
        const double more = *hi != 0 ? 0.05 * fabs(*hi) : 1;
        *lo -= more;
        *hi += more;
    }
}

/* False when there is nothing to draw. */
static bool frame_fit(Frame *f, const Chart *c)
{
    bool some = false;
    f->x0 = 0;
    f->x1 = 1;
    f->y0 = INFINITY;
    f->y1 = -INFINITY;
    for (size_t k = 0; k < c->n_lines; k++)
        for (size_t i = 0; i < c->line[k].n; i++) {
            const double y = c->line[k].y[i];
            f->x1 = MAX(f->x1, MIN(c->line[k].x[i], VALUE_MAX));
            if (!drawable(y))
                continue;
            some = true;
            f->y0 = MIN(f->y0, y);
            f->y1 = MAX(f->y1, y);
        }
    if (!some)
        return false;
    if (c->from_zero && f->y0 >= 0) {
        f->y0 = 0;
        f->y1 = f->y1 > 0 ? f->y1 * 1.08 : 1;
    } else {
        widen(&f->y0, &f->y1);
        const double room = 0.06 * (f->y1 - f->y0);
        f->y0 -= room;
        f->y1 += room;
    }
    f->left = MARGIN_LEFT;
    f->top = MARGIN_TOP;
    f->right = c->width - MARGIN_RIGHT;
    f->bottom = c->height - MARGIN_BOTTOM;
    return true;
}

/* 1, 2 or 5 times a power of ten, so that about `count` steps fill the range. */
static double tick_step(double range, int count, bool whole)
{
    const double raw = range / count, power = pow(10, floor(log10(raw))), lead = raw / power;
    const double step = (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * power;
    return whole ? MAX(step, 1) : step;
}

static int decimals_of(double step) /* digits behind the point that a multiple of step needs */
{
    const int d = -(int)floor(log10(step) + 1e-9);
    return MIN(MAX(d, 0), 12);
}

/* largest: of the axis; it decides the form of all its ticks, so that they can be compared at a glance. */
static void tick_text(StrBuf *out, double v, double step, double largest)
{
    static const struct { double from, factor; const char *name; } unit[] = { { 1e9, 1e9, "G" }, { 1e6, 1e6, "M" }, { 1e4, 1e3, "k" } };
    if (fabs(v) < step / 1e3) {
        strbuf_addz(out, "0");
        return;
    }
    if (largest < 0.01 || largest >= 1e13) {
        const int power = (int)floor(log10(fabs(v)) + 1e-9);
        char      digits[32];
        snprintf(digits, sizeof digits, "%.*f", MIN(MAX(power - (int)floor(log10(step) + 1e-9), 0), 6), v / pow(10, power));
        char *end = digits + strlen(digits);
        while (strchr(digits, '.') && (end[-1] == '0' || end[-1] == '.'))
            *--end = '\0'; /* 1.0 beside 1.5 says nothing more than 1 */
        strbuf_addf(out, "%se%d", digits, power);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(unit); i++)
        if (largest >= unit[i].from) {
            strbuf_addf(out, "%.*f%s", decimals_of(step / unit[i].factor), v / unit[i].factor, unit[i].name);
            return;
        }
    strbuf_addf(out, "%.*f", decimals_of(step), v);
}

static void draw_axes(StrBuf *out, const Frame *f, const Chart *c)
{
    const double x_step = tick_step(f->x1 - f->x0, c->width / 90, true), y_step = tick_step(f->y1 - f->y0, c->height / 45, false);
    const double y_largest = MAX(fabs(f->y0), fabs(f->y1));
    for (double i = ceil(f->y0 / y_step); i * y_step <= f->y1; i++) {
        const double y = at_y(f, i * y_step);
        strbuf_addf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", f->left, f->right, y, y);
        strbuf_addf(out, "<text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", f->left - 8, y + 4);
        tick_text(out, i * y_step, y_step, y_largest);
        strbuf_addz(out, "</text>\n");
    }
    for (double i = 0; i * x_step <= f->x1; i++) {
        const double x = at_x(f, i * x_step);
        strbuf_addf(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x, f->bottom, f->bottom + 4);
        strbuf_addf(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">", x, f->bottom + 17);
        tick_text(out, i * x_step, x_step, f->x1);
        strbuf_addz(out, "</text>\n");
    }
    strbuf_addf(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", f->left, f->right, f->bottom, f->bottom);
    strbuf_addf(out, "<text class=\"label\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", f->right, f->bottom + 33);
    html_textz(out, c->x_label);
    strbuf_addz(out, "</text><text class=\"label\" x=\"4\" y=\"13\">");
    html_textz(out, c->unit);
    strbuf_addz(out, "</text>\n");
}

/* --- lines --------------------------------------------------------------------------------------------------------------------------------- */

/* The path so far: whether the pen is down. A gap lifts it. */
typedef struct Pen { StrBuf *out; const Frame *frame; bool down; } Pen;

static void pen_to(Pen *p, const ChartLine *l, size_t i)
{
    const double x = at_x(p->frame, l->x[i]), y = at_y(p->frame, l->y[i]);
    strbuf_addf(p->out, p->down ? "L%.1f %.1f" : "M%.1f %.1fh0", x, y); /* h0: a value between two gaps still shows, as a round dot */
    p->down = true;
}

static int column_of(const Frame *f, double x)
{
    return (int)MIN((x - f->x0) / (f->x1 - f->x0) * (CHART_POINTS / 2), CHART_POINTS / 2 - 1);
}

/* The lowest and the highest value of each pixel column, in the order in which they came: what a line through all points would cover. */
static void draw_thinned(Pen *p, const ChartLine *l)
{
    for (size_t i = 0; i < l->n;) {
        const int column = column_of(p->frame, l->x[i]);
        size_t    low = l->n, high = l->n;
        for (; i < l->n && column_of(p->frame, l->x[i]) == column; i++) {
            if (!drawable(l->y[i]))
                continue;
            low = low == l->n || l->y[i] < l->y[low] ? i : low;
            high = high == l->n || l->y[i] > l->y[high] ? i : high;
        }
        if (low == l->n) {
            p->down = false;
            continue;
        }
        pen_to(p, l, MIN(low, high));
        if (low != high)
            pen_to(p, l, MAX(low, high));
    }
}

static void draw_line(StrBuf *out, const Frame *f, const ChartLine *l)
{
    Pen pen = { out, f, false };
    strbuf_addf(out, "<path class=\"line %s\" d=\"", l->style);
    if (l->n > CHART_POINTS)
        draw_thinned(&pen, l);
    for (size_t i = 0; i < l->n && l->n <= CHART_POINTS; i++)
        if (drawable(l->y[i]))
            pen_to(&pen, l, i);
        else
            pen.down = false;
    strbuf_addz(out, "\"/>\n");
    for (size_t i = 0; l->dots && i < l->n && l->n <= CHART_DOTS; i++)
        if (drawable(l->y[i])) {
            strbuf_addf(out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>step %.0f: ", l->style,
                        at_x(f, l->x[i]), at_y(f, l->y[i]), l->x[i]);
            html_loss(out, l->y[i]);
            strbuf_addz(out, "</title></circle>\n");
        }
}

/* --- rules and the best point --------------------------------------------------------------------------------------------------------------- */

static void draw_rules(StrBuf *out, const Frame *f, const Chart *c)
{
    for (size_t i = 0; i < c->n_rules; i++) {
        const double x = at_x(f, c->rule[i].x);
        strbuf_addf(out, "<line class=\"rule\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x, f->top, f->bottom);
        strbuf_addf(out, "<text class=\"tick halo\" x=\"%.1f\" y=\"%.1f\">", x + 4, f->top + 9);
        html_textz(out, c->rule[i].label);
        strbuf_addz(out, "</text>\n");
    }
    if (c->level_label && c->level >= f->y0 && c->level <= f->y1) {
        const double y = at_y(f, c->level);
        strbuf_addf(out, "<line class=\"rule\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", f->left, f->right, y, y);
        strbuf_addf(out, "<text class=\"tick halo\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", f->right - 2, y - 5);
        html_textz(out, c->level_label);
        strbuf_addz(out, "</text>\n");
    }
}

static void draw_best(StrBuf *out, const Frame *f, const Chart *c)
{
    const double x = at_x(f, c->best_x), y = at_y(f, c->best_y), share = (x - f->left) / (f->right - f->left);
    const double label_y = y - 14 > f->top + 12 ? y - 14 : y + 24; /* above it: the training loss mostly runs below */
    const char  *anchor = share < 0.15 ? "start" : share > 0.85 ? "end" : "middle";
    strbuf_addf(out, "<circle class=\"best\" cx=\"%.1f\" cy=\"%.1f\" r=\"7\"/>", x, y);
    strbuf_addf(out, "<text class=\"best-label halo\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", anchor, x, label_y);
    html_textz(out, c->best_label);
    strbuf_addz(out, "</text>\n");
}

/* --- the figure ------------------------------------------------------------------------------------------------------------------------------ */

static void write_caption(StrBuf *out, const Chart *c)
{
    strbuf_addz(out, "<figcaption><h3>");
    html_textz(out, c->title);
    strbuf_addz(out, "</h3>");
    for (size_t k = 0; k < c->n_lines && c->n_lines > 1; k++) {
        strbuf_addf(out, "<span class=\"key\"><span class=\"swatch %s\"></span>", c->line[k].style);
        html_textz(out, c->line[k].name);
        strbuf_addz(out, "</span>");
    }
    if (c->note) {
        strbuf_addz(out, "<p class=\"note\">");
        html_textz(out, c->note);
        strbuf_addz(out, "</p>");
    }
    strbuf_addz(out, "</figcaption>\n");
}

void chart_write(StrBuf *out, const Chart *c)
{
    Frame f;
    strbuf_addz(out, "<figure>\n");
    write_caption(out, c);
    if (frame_fit(&f, c)) {
        strbuf_addf(out, "<div class=\"plot\"><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-title %s-desc\">\n"
                    "<title id=\"%s-title\">", c->width, c->height, c->id, c->id, c->id);
        html_textz(out, c->title);
        strbuf_addf(out, "</title><desc id=\"%s-desc\">", c->id);
        html_textz(out, c->desc);
        strbuf_addz(out, "</desc>\n");
        draw_axes(out, &f, c);
        for (size_t k = 0; k < c->n_lines; k++)
            draw_line(out, &f, &c->line[k]);
        draw_rules(out, &f, c);
        if (c->best_label)
            draw_best(out, &f, c);
        strbuf_addz(out, "</svg></div>\n");
    } else {
        strbuf_addz(out, "<p class=\"none\">There are no values to draw.</p>\n");
    }
    strbuf_addz(out, "</figure>\n");
}

void chart_mean(double *out, const double *y, size_t n, size_t half)
{
    double *sum = mem_alloc((n + 1) * sizeof *sum), *count = mem_alloc((n + 1) * sizeof *count); /* of the first i values */
    sum[0] = count[0] = 0;
    for (size_t i = 0; i < n; i++) {
        sum[i + 1] = sum[i] + (drawable(y[i]) ? y[i] : 0);
        count[i + 1] = count[i] + (drawable(y[i]) ? 1 : 0);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t a = i - MIN(half, i), b = i + MIN(half, n - 1 - i) + 1;
        out[i] = count[b] > count[a] ? (sum[b] - sum[a]) / (count[b] - count[a]) : NAN;
    }
    free(sum);
    free(count);
}
