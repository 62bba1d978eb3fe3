/* import.h - a foreign row to a canonical record: a table of the shapes that data sets come in.
 * Main struct: Import, what the user said of the rows (mappings and role names). Shapes, in the order in which they are looked for:
 *   tickets      Zendesk (requester_id, comments), Jira (key, fields; or its CSV): who opened the ticket is the user, who answers the assistant
 *   preference   prompt/messages + chosen + rejected (texts or messages); {"input": {"messages"}, "preferred_output", "non_preferred_output"}
 *   KTO          prompt + completion + label (true/false); messages + label
 *   messages     OpenAI chat: {"messages": [{"role", "content", ...}], "tools"}
 *   ShareGPT     {"conversations": [{"from", "value"}], "system"}
 *   pairs        prompt/completion
 *   Alpaca       instruction, input, output, system, history
 *   two columns  question/answer and the like (`column_pairs` in import.c)
 *   text         text, content, document, body
 * A mapping (--prompt, --completion, --system, --text) goes before all shapes. What a shape does not use becomes "meta".
 * Errors are ERR_INPUT without a place (the caller knows file and row) and begin with a name that a report can count, "unrecognized_role: ..."; those of
 * chat rows are the names of OpenAI's own check: data_type, missing_messages_list, message_missing_key, message_unrecognized_key,
 * unrecognized_role, missing_content, example_missing_assistant_message.
 * To add a shape: a row in `shapes` and its function. */
#ifndef HONE_IMPORT_H
#define HONE_IMPORT_H

#include "prep/record.h"

typedef struct ImportOptions {
    const char *prompt, *completion, *system, *text; /* templates of mapping.h; NULL or "": none */
    const char *roles;                               /* "customer=user,agent=assistant": names of a foreign export to ours */
} ImportOptions;

typedef struct Import Import;
int  import_new(Import **im, const ImportOptions *o, Err *e); /* ERR_ARG: a bad template or role list */
void import_free(Import *im);

/* Takes `row` over (also on error). *note: what was put right on the way, for the log; empty when nothing was (a trailing question without an answer
 * was cut off, a content of parts was joined). Thread-safe. */
/* The same for rows that the templates are not about (documents, exports of help desks): known shapes alone. */
int  import_known_row(const Import *im, Json *row, Record *out, StrBuf *note, Err *e);
bool import_fits(const Import *im, const Json *row); /* the row has the columns of the templates, or there are none */
/* Columns of the templates that are empty in this row, which import_row takes all the same: sentences, each with a zero byte behind it; appends. */
void import_gaps(const Import *im, const Json *row, StrBuf *out);
bool import_lacks(const char *why); /* an error of import_row: the row lacks columns, of a template or of all known shapes */
int  import_row(const Import *im, Json *row, Record *out, StrBuf *note, Err *e);
/* What a row without an answer asks, as of an evaluation set: the --prompt template, all messages but answers, or the column of a question. Appends;
 * false: it asks nothing that can be told. The row stays as it is. */
bool import_question(const Import *im, const Json *row, StrBuf *out);

#endif
