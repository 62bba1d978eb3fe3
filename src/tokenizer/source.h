/* source.h - tokenizers that come in another form than tokenizer.json: each becomes that JSON, as Hugging Face's converters would write it, and
 * goes through tok_open_json. There is one engine; what differs between sources is said here and ends here.
 *
 * All of them give one reference in *tokenizer. *config is in and out: what tokenizer_config.json says (or NULL), to which the names of bos, eos,
 * unk and pad are added where the source knows them and the file is silent. On an error both are the caller's to drop as they stand.
 *
 * What the tokenizers library does not have is written where its format cannot say what a source does: the prepend_scheme "start" of a Metaspace
 * (pretok.c), "longest" of a Precompiled (precompiled.c), "ranks" of a BPE model (bpe.c) and "unmatched" of a Unigram model (unigram.c).
 *
 * To add a source: a function here, and a row in the table of source.c that says by which file a folder shows it. */
#ifndef HONE_TOK_SOURCE_H
#define HONE_TOK_SOURCE_H

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* SentencePiece's ModelProto. */
int tok_json_from_spm(Json **tokenizer, Json **config, Str bytes, const char *where, Err *e);
/* Lines of base64 token, space, rank. The pattern and the special tokens are not in such a file: they are facts of the family, which is known by
 * the number and the texts of the ranks or by "tokenizer_class"; where neither tells, it is an error that says what is missing. */
int tok_json_from_tiktoken(Json **tokenizer, Json **config, Str text, const char *where, Err *e);
/* GPT-2 style: the object of vocab.json and the text of merges.txt. */
int tok_json_from_merges(Json **tokenizer, Json **config, const Json *vocab, Str merges, const char *where, Err *e);
/* BERT style: one token a line. */
int tok_json_from_wordpiece(Json **tokenizer, Json **config, Str vocab, const char *where, Err *e);

/* The tokenizer of a folder from whatever file holds it, or of a .gguf file (from_gguf.h); *where names the file, to be freed. */
int tok_json_from_dir(Json **tokenizer, Json **config, char **where, const char *dir, Err *e);

#endif
