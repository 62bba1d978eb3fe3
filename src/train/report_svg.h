/* report_svg.h - one line chart as a <figure> with inline SVG: legend, axes with round ticks, lines, dots, the best point, vertical and level rules.
 * Main struct: Chart; everything is borrowed and read only. Colours come from the page's CSS by class, so one drawing serves light, dark and print.
 * Invariants: a line is written with at most CHART_POINTS points however long it is; values that are not finite, or too large to draw, are gaps;
 * same chart, same bytes. To add a decoration: a field here, a draw_ function in report_svg.c. */
#ifndef HONE_REPORT_SVG_H
#define HONE_REPORT_SVG_H

#include "base/str.h"

#define CHART_POINTS 1000 /* most points of one line; more are drawn as lowest and highest of each column */
#define CHART_DOTS   60   /* a line with more values gets no dots: they would merge */

typedef struct ChartLine {
    const char   *name;   /* for the legend */
    const char   *style;  /* CSS class: raw, mean, held */
    const double *x, *y;  /* [n]; x ascending and finite */
    size_t        n;
    bool          dots;
} ChartLine;

typedef struct ChartRule { double x; const char *label; } ChartRule; /* a vertical line */

typedef struct Chart {
    const char      *id;                    /* of the page: unique, letters and dashes */
    const char      *title, *note, *desc;   /* note: under the title, may be NULL; desc: for those who cannot see it */
    const char      *unit, *x_label;
    int              width, height;         /* of the drawing, in its own units (CSS pixels at full size) */
    bool             from_zero;             /* the y axis begins at 0 */
    const ChartLine *line;
    size_t           n_lines;
    const ChartRule *rule;
    size_t           n_rules;
    const char      *best_label;            /* NULL: no best point */
    double           best_x, best_y;
    const char      *level_label;           /* NULL: no level; one outside the values is left out */
    double           level;
} Chart;

void chart_write(StrBuf *out, const Chart *c);

/* The mean of the finite values within `half` places on both sides, or as far as there are any. out: [n] */
void chart_mean(double *out, const double *y, size_t n, size_t half);

#endif
