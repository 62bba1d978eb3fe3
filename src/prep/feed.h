/* feed.h - the rows of one input, whatever it is: a table (formats/table.h), a document (docs/doc.h: one row of text per page, sheet, slide or message;
 * of a mailbox one conversation per answered thread), or an export of Slack (a zip) or Salesforce (a folder).
 * Main struct: Feed. Reading is in two steps as with tables: feed_read in order, feed_parse on any thread.
 * Documents and exports are read whole when they are opened (bounded as their headers say). */
#ifndef HONE_FEED_H
#define HONE_FEED_H

#include "formats/table.h"

typedef struct Feed Feed;
typedef struct FeedItem {
    TableItem   item;
    Json       *row;        /* ready-made; borrowed; NULL: item is to be parsed */
    const char *cut;        /* of a mailbox: quotations and signatures that are in no text of the row; NULL: no mail. Borrowed */
    const char *unanswered; /* of a mailbox: why it is no conversation; NULL: it is one, or no mail */
} FeedItem;

int  feed_open(Feed **f, const char *path, const TableOptions *o, Err *e);
/* ERR_INPUT: a part of the file (a member, a row group, all behind a damage) cannot be read; a further call gives what comes behind it, if anything. */
int  feed_read(Feed *f, FeedItem *items, size_t max_items, size_t max_bytes, size_t *n, Err *e);
bool feed_refused(const Feed *f, const FeedItem *item);                  /* no row: feed_parse says why the whole file is not read */
bool feed_has_columns(const Feed *f);                                    /* the same in every row, as in CSV; not of an archive, whose members differ */
bool feed_ready(const FeedItem *item);                                   /* made here, of a known shape: templates are not about it */
int  feed_parse(const Feed *f, const FeedItem *item, Json **row, Err *e); /* owned; thread-safe */
/* The first row of a table that is one by its name (.csv, .tsv), for a look before anything is done; *row NULL: there is none, or it cannot be read, which feed_open
 * and feed_parse will tell. */
void feed_first_row(const char *path, const TableOptions *o, Json **row, int64_t *line);
const char *feed_where(const Feed *f, uint32_t member);                  /* "FILE" or "FILE: MEMBER". Owned by the feed */
TablePlace feed_place(const Feed *f);
int  feed_seek(Feed *f, const TablePlace *at, Err *e);
void feed_progress(const Feed *f, uint64_t *done, uint64_t *total);
/* What was found out about the input as a whole: sentence i, and the file or member it speaks of; NULL behind the last. Owned by the feed. */
const char *feed_note(Feed *f, size_t i, const char **where);
const char *feed_nothing(const Feed *f);                                 /* of a feed that gave no row: why, as in "is empty (0 bytes)" */
void feed_close(Feed *f);

#endif
