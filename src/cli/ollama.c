/* ollama.c - see ollama.h. Ollama's templates are in Go's dialect, a model's own is Jinja: instead of translating one into the other, each known style
 * is written down once as the texts around a message. A sample conversation is put together from them and compared with what the model's
 * template renders; the style that gives the same text is the one.
 * To add a style: a row in styles[]. */
#include "cli/ollama.h"

#include "cli/cli.h"
#include "tokenizer/chat.h"

/* What stands before and after a message of each role; the answer is opened by the assistant's. */
typedef struct Style {
    const char *name, *system[2], *user[2], *assistant[2];
    const char *inside;     /* between the system's text and the user's, when they share a message */
    const char *stop[2];
} Style;

static const Style styles[] = {
    { "chatml", { "<|im_start|>system\n", "<|im_end|>\n" }, { "<|im_start|>user\n", "<|im_end|>\n" }, { "<|im_start|>assistant\n", "<|im_end|>\n" }, NULL,
      { "<|im_end|>", "<|im_start|>" } },
    { "llama3", { "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>" }, { "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>" },
      { "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>" }, NULL, { "<|eot_id|>", "<|start_header_id|>" } },
    { "llama2", { "<<SYS>>\n", "" }, { "[INST] ", " [/INST]" }, { " ", " </s><s>" }, "\n<</SYS>>\n\n", { "[INST]", "</s>" } },
    { "mistral", { "", "" }, { "[INST] ", " [/INST]" }, { " ", "</s>" }, "\n\n", { "[INST]", "</s>" } },
    { "mistral", { "", "" }, { "[INST] ", "[/INST]" }, { " ", "</s>" }, "\n\n", { "[INST]", "</s>" } },
    { "mistral", { "", "" }, { "[INST]", "[/INST]" }, { "", "</s>" }, "\n\n", { "[INST]", "</s>" } },
    { "gemma", { "", "" }, { "<start_of_turn>user\n", "<end_of_turn>\n" }, { "<start_of_turn>model\n", "<end_of_turn>\n" }, "\n\n",
      { "<end_of_turn>", "<start_of_turn>" } },
    { "phi3", { "<|system|>\n", "<|end|>\n" }, { "<|user|>\n", "<|end|>\n" }, { "<|assistant|>\n", "<|end|>\n" }, NULL, { "<|end|>", "<|user|>" } },
    { "phi4", { "<|im_start|>system<|im_sep|>", "<|im_end|>" }, { "<|im_start|>user<|im_sep|>", "<|im_end|>" },
      { "<|im_start|>assistant<|im_sep|>", "<|im_end|>" }, NULL, { "<|im_end|>", "<|im_start|>" } },
    { "zephyr", { "<|system|>\n", "</s>\n" }, { "<|user|>\n", "</s>\n" }, { "<|assistant|>\n", "</s>\n" }, NULL, { "</s>", "<|user|>" } },
    { "granite", { "<|start_of_role|>system<|end_of_role|>", "<|end_of_text|>\n" }, { "<|start_of_role|>user<|end_of_role|>", "<|end_of_text|>\n" },
      { "<|start_of_role|>assistant<|end_of_role|>", "<|end_of_text|>\n" }, NULL, { "<|end_of_text|>", "<|start_of_role|>" } },
};

static const char system_text[] = "You answer briefly.", user_text[] = "Where is order 27?", answer_text[] = "It left on Monday.",
                  last_text[] = "Thank you.";

static void put(StrBuf *b, const char *const part[2], const char *text)
{
    strbuf_addf(b, "%s%s%s", part[0], text, part[1]);
}

static void render_style(StrBuf *b, const Style *s, bool with_system)
{
    if (with_system && s->inside)
        strbuf_addf(b, "%s%s%s%s%s%s%s", s->user[0], s->system[0], system_text, s->inside, user_text, s->system[1], s->user[1]);
    if (with_system && !s->inside)
        put(b, s->system, system_text);
    if (!with_system || !s->inside)
        put(b, s->user, user_text);
    put(b, s->assistant, answer_text);
    put(b, s->user, last_text);
    strbuf_addz(b, s->assistant[0]);
}

/* The model's own rendering, without the token that begins a text: Ollama puts that one itself. */
static bool render_own(StrBuf *b, const Tok *tok, bool with_system)
{
    ChatOut out = { 0 };
    Json   *messages = json_arr_new();
    if (with_system)
        cli_message_add(messages, "system", str_of(system_text));
    cli_message_add(messages, "user", str_of(user_text));
    cli_message_add(messages, "assistant", str_of(answer_text));
    cli_message_add(messages, "user", str_of(last_text));
    const bool good = !chat_render(tok, messages, true, "the sample conversation", &out, NULL);
    const Str  bos = tok_bos(tok) >= 0 ? tok_text(tok, tok_bos(tok)) : (Str){ 0 };
    Str        text = strbuf_str(&out.text);
    if (bos.n && text.n >= bos.n && !memcmp(text.p, bos.p, bos.n)) {
        text.p += bos.n;
        text.n -= bos.n;
    }
    if (good)
        strbuf_add(b, text.p, text.n);
    chat_out_release(&out);
    json_free(messages);
    return good;
}

/* Equal but for space at the end of the opening of an answer, which some templates leave to the model. */
static bool same_text(Str own, Str style)
{
    while (style.n > own.n && style.p[style.n - 1] == ' ')
        style.n--;
    return str_eq(own, style);
}

/* hone's template for models without one (chat.h), whose terminator is the model's own end of text. */
static Style built_in(const Tok *tok, StrBuf *end)
{
    const int32_t id = chat_terminator(tok, NULL);
    const Str     name = id >= 0 ? tok_text(tok, id) : (Str){ 0 };
    strbuf_addf(end, "%.*s\n", (int)name.n, name.p ? name.p : "");
    const char *e = strbuf_z(end);
    return (Style){ "built in", { "system:\n", e }, { "user:\n", e }, { "assistant:\n", e }, NULL, { NULL, NULL } };
}

static const Style *find_style(const Tok *tok, const Style *extra, bool *with_system)
{
    for (int system = 1; system >= 0; system--) {
        StrBuf own = { 0 };
        bool   good = render_own(&own, tok, system);
        for (size_t i = 0; i <= ARRAY_LEN(styles) && good; i++) {
            const Style *s = i < ARRAY_LEN(styles) ? &styles[i] : extra;
            StrBuf       b = { 0 };
            render_style(&b, s, system);
            const bool same = same_text(strbuf_str(&own), strbuf_str(&b));
            strbuf_release(&b);
            if (same) {
                strbuf_release(&own);
                *with_system = system;
                return s;
            }
        }
        strbuf_release(&own);
    }
    return NULL;
}

/* The style in Go's dialect. A system text stands at the start, or inside the first message of the user. */
static void put_template(StrBuf *out, const Style *s, bool with_system)
{
    strbuf_addz(out, "TEMPLATE \"\"\"");
    if (with_system && !s->inside)
        strbuf_addf(out, "{{ if .System }}%s{{ .System }}%s{{ end }}", s->system[0], s->system[1]);
    strbuf_addz(out, "{{ $first := true }}{{ range $i, $m := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}");
    strbuf_addf(out, "{{ if eq $m.Role \"user\" }}%s", s->user[0]);
    if (with_system && s->inside)
        strbuf_addf(out, "{{ if and $first $.System }}%s{{ $.System }}%s{{ end }}{{ $first = false }}", s->system[0], s->inside);
    strbuf_addf(out, "{{ $m.Content }}%s", s->user[1]);
    strbuf_addf(out, "{{ else if eq $m.Role \"assistant\" }}%s{{ $m.Content }}{{ if not $last }}%s{{ end }}{{ end }}", s->assistant[0], s->assistant[1]);
    strbuf_addf(out, "{{ if and $last (ne $m.Role \"assistant\") }}%s{{ end }}{{ end }}\"\"\"\n", s->assistant[0]);
}

static void put_stop(StrBuf *out, const Tok *tok, const char *text)
{
    int32_t id;
    if (text && tok_find(tok, str_of(text), &id))
        strbuf_addf(out, "PARAMETER stop \"%s\"\n", text);
}

void ollama_modelfile(StrBuf *out, const char *gguf, const char *adapter, const Tok *tok, StrBuf *notes)
{
    StrBuf        end = { 0 };
    const Style   own = built_in(tok, &end);
    const int32_t terminator = chat_terminator(tok, NULL);
    bool          with_system = false;
    const Style  *s = find_style(tok, &own, &with_system);
    strbuf_addf(out, "FROM ./%s\n", gguf);
    if (adapter)
        strbuf_addf(out, "ADAPTER ./%s\n", adapter);
    if (s)
        put_template(out, s, with_system);
    else
        strbuf_addz(notes, "the model's chat template is none that hone can say in Ollama's dialect, so the Modelfile has no TEMPLATE: Ollama then "
                    "uses the template inside the GGUF file; try a conversation before you rely on it\n");
    for (size_t i = 0; s && i < ARRAY_LEN(s->stop); i++)
        put_stop(out, tok, s->stop[i]);
    if (terminator >= 0 && (!s || !s->stop[0])) {
        const Str name = tok_text(tok, terminator);
        strbuf_addf(out, "PARAMETER stop \"%.*s\"\n", (int)name.n, name.p);
    }
    strbuf_release(&end);
}
