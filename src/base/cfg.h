/* cfg.h - option tables. One table per command describes every option: name, kind, where it lies in the options struct, default, range,
 * choices, help. From it come the command line parser, the recipe (YAML) reader and writer, the help text and the man page. An unknown
 * key or flag is an error with the nearest name as suggestion. A table ends with { 0 }.
 * Names are written with dashes ("batch-tokens"); a recipe may use dashes or underscores.
 *
 * To add an option: add a field to the struct and a row to its table. */
#ifndef HONE_CFG_H
#define HONE_CFG_H

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define CFG_RECIPE_MAX ((size_t)64 << 10) /* bytes of a recipe */
#define CFG_VALUE_MAX  ((size_t)16 << 10) /* bytes of one STR or LIST value */

typedef enum {
    CFG_BOOL,   /* bool;    --x, --x=false, --no-x               */
    CFG_INT,    /* int64_t; accepts 4096, 4k (x1000), 4Ki (x1024), likewise M Mi G Gi; kB MB GiB mean the same */
    CFG_REAL,   /* double;  2e-4                                  */
    CFG_STR,    /* char *;  owned by the struct                   */
    CFG_LIST,   /* char *;  comma-separated on the command line, a YAML list or one string in a recipe; kept joined by commas */
    CFG_CHOICE, /* int;     index into `choices` "a|b|c"          */
} CfgKind;

typedef struct CfgOption {
    const char *name;
    CfgKind     kind;
    size_t      off;       /* offsetof(struct, field) */
    const char *def;       /* default as text; NULL: none (empty string, 0) */
    double      min, max;  /* range of INT and REAL, inclusive; both 0: any */
    const char *choices;   /* CFG_CHOICE: "lora|full"; others: the placeholder in the help ("DIR", "FILE[,FILE]"); NULL: by kind */
    const char *help;      /* one line, lower case, no full stop */
    bool        hidden;    /* command line only: not a recipe key, not printed in recipes (e.g. --help, --print-recipe) */
} CfgOption;

void cfg_defaults(const CfgOption *table, void *opts);                      /* fills every field; opts zeroed or previously filled */
void cfg_release(const CfgOption *table, void *opts);                       /* frees the owned strings */
int  cfg_set(const CfgOption *table, void *opts, Str name, Str value, const char *where, Err *e); /* where: "--lr" source or "recipe.yaml, line 3" */

/* Reads argv[1..argc): --name VALUE, --name=VALUE, switches; "--" ends options. Words without dashes go to `pos` (borrowed; at most max_pos).
 * Options given explicitly are marked in `given` (one bool per table row, may be NULL). */
int  cfg_parse_args(const CfgOption *table, void *opts, int argc, char **argv, const char **pos, int max_pos, int *n_pos, bool *given, Err *e);

/* Reads a recipe: a flat YAML mapping of known keys to scalars or lists of scalars. No anchors, no aliases, no nesting, no duplicate keys;
 * at most 64 KiB. Rows already marked in `given` are left alone (the command line wins). `name` is what errors call the source. */
int  cfg_parse_yaml(const CfgOption *table, void *opts, Str text, const char *name, const bool *given, Err *e);
void cfg_write_yaml(StrBuf *out, const CfgOption *table, const void *opts, bool with_help); /* full resolved recipe, readable back bit for bit */
void cfg_write_help(StrBuf *out, const CfgOption *table);                   /* aligned lines, at most 100 columns */
int  cfg_suggest(StrBuf *out, const CfgOption *table, Str name);            /* appends " (did you mean X?)" when a name is near, and returns 1 */
bool cfg_list_each(const char **rest, Str *item);                           /* items of a CFG_LIST: const char *r = o.files; while (cfg_list_each(&r, &item));
                                                                               spaces around an item and empty items are skipped */

#endif
