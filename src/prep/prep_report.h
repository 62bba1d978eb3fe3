/* prep_report.h - DATA/report.html: what came in, what left and why, with examples of each decision. One file without scripts or outside references. */
#ifndef HONE_PREP_REPORT_H
#define HONE_PREP_REPORT_H

#include "base/json.h"

/* Reads the folder's own files (decisions.jsonl, removed.jsonl, the parts) and nothing else. manifest: that of the folder. */
int prep_report_write(const char *data, const Json *manifest, Err *e);

#endif
