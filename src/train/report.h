/* report.h - report.html of a run folder, made from its files alone (recipe.yaml, run.json, metrics.jsonl, samples.jsonl, DONE or FAILED), so that it
 * can be made again at any time. One self-contained file: inline SVG curves, no script, no link to outside. */
#ifndef HONE_REPORT_H
#define HONE_REPORT_H

#include "base/err.h"

int report_write(const char *run, Err *e); /* RUN/report.html, atomic */

#endif
