/* gguf_model.h - a GGUF file as a model: its metadata said as a config.json, its tensors under Hugging Face's names and in Hugging Face's layout.
 * After this door nobody knows where a model came from. Main struct: GgufModel.
 * Invariant: every key of the file's architecture was understood, or the file is refused by the key's name; keys outside it (general., tokenizer.)
 * do not change what a model computes. */
#ifndef HONE_GGUF_MODEL_H
#define HONE_GGUF_MODEL_H

#include "formats/gguf.h"
#include "formats/weights.h"
#include "model/gguf_arch.h"

typedef struct GgufModel {
    Gguf           *file;
    const GgufArch *arch;
    Json           *config, *generation;    /* as config.json and generation_config.json would say it */
    GgufShape       shape;
    Weights        *weights;
} GgufModel;

int  gguf_model_open(GgufModel **out, const char *path, Err *e);
int  gguf_model_from(GgufModel **out, Gguf *g, Err *e);              /* takes g, also when it fails; for tests and fuzzing */
void gguf_model_close(GgufModel *m);

/* What a model folder would hold beside the weights: generation_config.json, tokenizer.json and tokenizer_config.json of the file at `path` are written
 * into dir; its config.json is given back, since a copy may be stored in other numbers. */
int  gguf_write_side_files(const char *path, const char *dir, Err *e);
int  gguf_read_config(Json **config, const char *path, Err *e);

/* The two halves. */
int  gguf_config_read(GgufModel *m, Err *e);                        /* gguf_keys.c: arch, config, generation, shape */
int  gguf_weights_open(Weights **out, const Gguf *g, const GgufArch *a, const GgufShape *s, Err *e);

/* Llama 3's rope scaling as factors of the single frequencies, as rope_freqs.weight holds it; n = rotating elements / 2. */
void gguf_llama3_factors(float *f, int64_t n, double theta, double factor, double low, double high, double original);

#endif
