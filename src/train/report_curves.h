/* report_curves.h - the section of report.html with what was measured over the steps: loss, learning rate, gradient norm, speed, and the held-out
 * evaluations as numbers. */
#ifndef HONE_REPORT_CURVES_H
#define HONE_REPORT_CURVES_H

#include "train/report_read.h"

void report_curves(StrBuf *out, const RunFolder *f);

#endif
