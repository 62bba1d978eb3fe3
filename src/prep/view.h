/* view.h - a file of the work folder that is read here and there: of what is read little stays in memory, however much it is and in whatever order.
 * Main struct: View, a mapping and the last VIEW_KEPT windows of it that were touched. A window that drops out of these leaves the process (file_forget), so
 * about VIEW_KEPT * VIEW_WINDOW bytes (8 MiB) of a view are resident, some more where threads were interrupted as they read, and the stretch that is being read.
 * These are pages of the system's cache, which it takes back when it needs them. The file must not change while it is open. */
#ifndef HONE_VIEW_H
#define HONE_VIEW_H

#include "base/file.h"

#define VIEW_WINDOW ((size_t)2 << 20) /* the most that Linux maps for one page that is touched: a large folio, 64 KiB where there are none */
#define VIEW_KEPT   4

typedef struct View { FileMap map; struct ViewRing *ring; } View; /* zeroed: closed */

int         view_open(View *v, const char *path, Err *e);
const void *view_at(const View *v, uint64_t off, size_t n); /* n bytes, valid until view_close; 0: NULL. On any thread. Reading past the end is a bug */
void        view_close(View *v);

#endif
