/* chat_template.h - the model's own chat template: found in its files, rendered, tokenised, and searched for what the assistant says.
 * Inside this room only; everybody else uses chat.h. */
#ifndef HONE_CHAT_TEMPLATE_H
#define HONE_CHAT_TEMPLATE_H

#include "base/hash.h"
#include "tokenizer/chat.h"
#include "tokenizer/jinja.h"

typedef struct ChatTemplate {
    Jinja  *plain, *tools;     /* tools NULL: the one template serves both */
    Json   *special;           /* bos_token and so on, as the template's own words */
    char    hash[SHA256_HEX];
    char   *where;
    int32_t terminator;        /* -1: none found, terminator_why says why */
    Err     why, terminator_why; /* why.code: a template that could not be compiled; said only when a conversation needs it */
} ChatTemplate;

/* config: tokenizer_config.json, may be NULL. *out stays NULL when it has no template. */
int  chat_template_open(ChatTemplate **out, const Json *config, const char *where, Err *e);
void chat_template_finish(const Tok *t, ChatTemplate *c); /* finds the terminator; the tokenizer must be complete */
void chat_template_free(ChatTemplate *c);
void chat_template_names(const Tok *t, ChatTemplate *c); /* special tokens as the tokenizer itself has them: bos, eos, pad */
/* What the folder's chat_template.jinja or chat_template.json says, put into *config (made when NULL) in the place of its own template. */
int  chat_template_files(Json **config, const char *model_dir, Err *e);
int  chat_template_render(const Tok *t, const ChatTemplate *c, const Json *messages, const ChatExtra *x, bool generation_prompt, const char *where,
                          ChatOut *out, Err *e);

#endif
