/* hf_dir.h - a Hugging Face model or adapter folder: which files are there, and the small JSON files parsed. Weights stay mapped. */
#ifndef HONE_HF_DIR_H
#define HONE_HF_DIR_H

#include "base/json.h"
#include "formats/safetensors.h"

typedef struct HfDir {
    char   *path;
    Json   *config;             /* config.json; NULL when absent (adapter folders) */
    Json   *generation;         /* generation_config.json or NULL */
    Json   *tokenizer;          /* tokenizer.json or NULL */
    Json   *tokenizer_config;   /* tokenizer_config.json or NULL */
    Json   *adapter;            /* adapter_config.json or NULL */
    StFile *weights;            /* model.safetensors, or its index with all shards; with adapter: adapter_model.safetensors; NULL: none */
} HfDir;

/* A folder with neither config.json nor adapter_config.json is ERR_INPUT with what was looked for; a missing shard, a broken JSON likewise.
 * A folder that has only pytorch_model.bin gets told so ("save it as safetensors"). */
int  hf_dir_open(HfDir **out, const char *path, Err *e);
void hf_dir_close(HfDir *d);

#endif
