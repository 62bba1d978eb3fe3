/* console.h - the files of the pages, built into the program from src/serve/console/ (console.cmake). To add a file: put it there, run cmake again. */
#ifndef HONE_SERVE_CONSOLE_H
#define HONE_SERVE_CONSOLE_H

#include "base/str.h"

typedef struct ConsoleFile { const char *name; const unsigned char *bytes; size_t n; } ConsoleFile;
extern const ConsoleFile console_files[]; /* ends with name == NULL; generated */

bool        console_find(const char *name, Str *bytes);
const char *console_type(const char *name);              /* media type by ending */

#endif
