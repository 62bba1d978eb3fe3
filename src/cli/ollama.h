/* ollama.h - the Modelfile that lets Ollama serve an exported GGUF file with the template it was trained with. */
#ifndef HONE_OLLAMA_H
#define HONE_OLLAMA_H

#include "base/str.h"
#include "tokenizer/tok.h"

/* FROM, ADAPTER (NULL: none), TEMPLATE and stop texts. A template is written only when it renders conversations as the model's own does, which is
 * found by rendering; otherwise it is left out (Ollama then takes the one inside the GGUF file) and a sentence about it is added to `notes`. */
void ollama_modelfile(StrBuf *out, const char *gguf, const char *adapter, const Tok *tok, StrBuf *notes);

#endif
