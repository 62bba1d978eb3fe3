/* inspect_model.h - what hone inspect says of models and adapters: folders and GGUF files alike, without loading weights. */
#ifndef HONE_INSPECT_MODEL_H
#define HONE_INSPECT_MODEL_H

#include "base/err.h"
#include "base/json.h"
#include "formats/safetensors.h"

/* Fill j; what would keep hone from using the thing goes to problems, a list of sentences. Only what cannot be opened at all is an error. */
int  inspect_model_at(const char *path, Json *j, Json *problems, Err *e);
int  inspect_adapter_at(const char *path, Json *j, Json *problems, Err *e);
bool inspect_is_gguf_adapter(const char *path);

void inspect_st(const StFile *f, Json *j, Json *problems);       /* the weights of a safetensors file */

/* Shared with the other kinds. */
void inspect_text(Json *j, const char *key, const char *text);   /* NULL: null */
void inspect_int(Json *j, const char *key, int64_t v);
void inspect_problem(Json *problems, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
