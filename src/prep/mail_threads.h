/* mail_threads.h - the messages of a mailbox to rows: a thread in which somebody else answered becomes a conversation (who wrote first is the user, all
 * others the assistant), every other message a row of text. Quoted earlier text and signatures, which the mail parser has marked, are left out. */
#ifndef HONE_MAIL_THREADS_H
#define HONE_MAIL_THREADS_H

#include "base/json.h"
#include "docs/doc.h"

typedef enum { MAIL_TALK, MAIL_UNANSWERED, MAIL_ATTACHMENT } MailRowKind;
/* cut: the quotations and signatures of its messages, which no text of the row has; "": none. Both owned. */
typedef struct MailRow { Json *row; MailRowKind kind; char *cut; } MailRow;
typedef VEC(MailRow) MailRows;

/* Appends rows {"messages", "subject", "thread", "date"} (MAIL_TALK) or {"text", ...} in the order of the threads' first messages. */
void mail_threads(const DocOut *mails, MailRows *rows);

#endif
