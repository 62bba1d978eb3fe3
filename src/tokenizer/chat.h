/* chat.h - conversations to tokens, with the mask of what the assistant says. The same function serves training and generation, so the two
 * cannot differ. A model that brings a chat template (chat_template.jinja, chat_template.json, or "chat_template" in tokenizer_config.json; with
 * tools the one named "tool_use" when there is one) is rendered with it, as transformers' apply_chat_template does: no special tokens are added to
 * what the template writes. chat_template.c says how the answers are found in the text and which rule wins.
 * A model without one gets the built-in template, ChatML-like:
 *   vocabulary has <|im_start|> and <|im_end|>:   <|im_start|>ROLE\nCONTENT<|im_end|>\n
 *   otherwise (EOS is the terminator):             ROLE:\nCONTENT EOS \n
 * after the special tokens that the tokenizer itself puts first (BOS).
 * Special tokens count only where the template wrote them: their spelling in a message stays ordinary text. */
#ifndef HONE_CHAT_H
#define HONE_CHAT_H

#include "base/hash.h"
#include "tokenizer/tok.h"

typedef VEC(uint8_t) TokMask;

typedef struct ChatOut {
    StrBuf  text;   /* what the tokens say, special tokens spelled out */
    TokIds  ids;
    TokMask mask;   /* 1: an assistant's token, its terminator included; same length as ids */
} ChatOut; /* zeroed is empty */
void chat_out_release(ChatOut *o);
void chat_out_clear(ChatOut *o);   /* keeps the memory */
void chat_out_add(ChatOut *o, int32_t id, bool trained);

/* What stands beside the messages, each may be NULL: tools and documents (arrays), kwargs (an object of further variables, enable_thinking ...). */
typedef struct ChatExtra { Json *tools, *documents, *kwargs; } ChatExtra;

/* messages: JSON array of {"role", "content", "weight": 0|1 (assistant only)}; with a template of the model's also whatever it reads (tool_calls,
 * reasoning_content, lists of parts). With the built-in template: roles system, user, assistant, developer, tool; content a string; tools, documents
 * and tool calls are ERR_INPUT. generation_prompt opens an assistant turn; the ids are then a prefix of those of the conversation with the answer,
 * unless the model's template rewrites its history. Appends to out; after an error out may hold a part. */
int chat_render(const Tok *t, const Json *messages, bool generation_prompt, const char *where, ChatOut *out, Err *e);
int chat_render_with(const Tok *t, const Json *messages, const ChatExtra *x, bool generation_prompt, const char *where, ChatOut *out, Err *e);
/* The same for a whole row {"messages", "tools", "documents", "chat_template_kwargs"}; "functions" that are not empty are ERR_INPUT. */
int chat_render_row(const Tok *t, const Json *row, bool generation_prompt, const char *where, ChatOut *out, Err *e);
int32_t chat_terminator(const Tok *t, Err *e);  /* id that ends an assistant turn; <0: the tokenizer has none (ERR_INPUT) */
const char *chat_template_hash(const Tok *t);   /* SHA-256 of the model's template; "built-in" without one */
int chat_template_folder_hash(char hash[SHA256_HEX], const char *dir, Err *e); /* the same of a folder that need not have a tokenizer; "" without one */
int chat_use_template(Tok *t, Str source, const char *where, Err *e); /* this template in the place of the tokenizer's own; before any sharing */
/* For the two files of this room: "weight" of a message, 1 when absent; only an assistant's message may have one, 0 or 1. */
int chat_weight(const Json *message, Str role, int64_t *weight, const char *where, Err *e);

#endif
