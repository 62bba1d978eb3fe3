/* chat.h - conversations to tokens, with the mask of what the assistant says. The same function serves training and generation, so the two
 * cannot differ. Until the engine for the models' own templates arrives there is one built-in template, ChatML-like:
 *   vocabulary has <|im_start|> and <|im_end|>:   <|im_start|>ROLE\nCONTENT<|im_end|>\n
 *   otherwise (EOS is the terminator):             ROLE:\nCONTENT EOS \n
 * after the special tokens that the tokenizer itself puts first (BOS). Contents are encoded as plain text (TOK_PLAIN): a special token's
 * spelling in a message never becomes a control token. */
#ifndef HONE_CHAT_H
#define HONE_CHAT_H

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

/* messages: JSON array of {"role": system|user|assistant|developer|tool, "content": string, "weight": 0|1 (assistant only)}. Unknown role, missing
 * content, empty array, `tools` or tool calls (they need the model's own template): ERR_INPUT. generation_prompt opens an assistant turn; the
 * ids are then a prefix of those of the conversation with the answer. Appends to out; after an error out may hold a part. */
int chat_render(const Tok *t, const Json *messages, bool generation_prompt, const char *where, ChatOut *out, Err *e);
/* The same for a whole row {"messages": [...], ...}; a row with `tools` or `functions` that are not empty is ERR_INPUT. */
int chat_render_row(const Tok *t, const Json *row, bool generation_prompt, const char *where, ChatOut *out, Err *e);
int32_t chat_terminator(const Tok *t, Err *e);  /* id that ends an assistant turn; <0: the tokenizer has none (ERR_INPUT) */

#endif
