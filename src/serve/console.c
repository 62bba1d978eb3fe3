/* console.c - see console.h. */
#include "serve/console.h"

bool console_find(const char *name, Str *bytes)
{
    for (const ConsoleFile *f = console_files; f->name; f++)
        if (!strcmp(f->name, name)) {
            *bytes = (Str){ (const char *)f->bytes, f->n };
            return true;
        }
    return false;
}

const char *console_type(const char *name)
{
    static const struct { const char *end, *type; } types[] = {
        { ".html", "text/html; charset=utf-8" },
        { ".css",  "text/css; charset=utf-8" },
        { ".js",   "text/javascript; charset=utf-8" },
        { ".svg",  "image/svg+xml" },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ends(str_of(name), types[i].end))
            return types[i].type;
    return "application/octet-stream";
}
