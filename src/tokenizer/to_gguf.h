/* to_gguf.h - a tokenizer as the metadata of a GGUF file, so that llama.cpp finds the same ids for the same text. */
#ifndef HONE_TO_GGUF_H
#define HONE_TO_GGUF_H

#include "base/json.h"
#include "formats/gguf.h"

/* tokenizer and config as tok_json_from_dir gives them (config may be NULL). vocab_size: rows of the embedding; ids without a token become unused
 * entries "[PADn]"; 0: as many as the tokenizer has. chat_template {NULL,0}: the one in config, if there is one. Writes tokenizer.* into w.
 * What a GGUF file cannot say is an ERR_INPUT before anything is written: a way of cutting words that has no name, a text put around that is
 * neither bos nor eos, a normaliser that llama.cpp does not have. Where only rare texts are touched there is a warning: composed characters
 * (NFC), spaces taken up by a special token (lstrip, rstrip), and the order of some merges in a tokenizer with byte fallback. */
int tok_gguf_meta(const Json *tokenizer, const Json *config, int64_t vocab_size, Str chat_template, GgufWriter *w, const char *where, Err *e);

#endif
