/* from_gguf.h - the tokenizer in the metadata of a GGUF file as tokenizer.json; see source.h for what the pair of objects is. */
#ifndef HONE_FROM_GGUF_H
#define HONE_FROM_GGUF_H

#include "base/json.h"
#include "formats/gguf.h"

int tok_json_from_gguf(const Gguf *g, Json **tokenizer, Json **config, Err *e); /* *config is only given: names, add_bos_token, chat_template */

#endif
