/* slack.h - a Slack export (the zip that a workspace's owner downloads: users.json, channels.json, one folder per conversation with one file per day) to
 * conversations: every thread with an answer becomes one row, {"messages", "channel", "thread", "started"}: who began the thread is the user, everybody
 * else the assistant. Messages that no thread holds, joins and other events, and files (the export has only links) are counted in notes.
 * A day that cannot be read (damaged, no JSON, an item that is no message) is left out whole, by name, and the others are kept; without users.json people
 * are called by their ids.
 * Bounds: SLACK_FILE_MAX bytes of one day's file, SLACK_MESSAGES_MAX messages; their texts stay in memory until the rows are made. */
#ifndef HONE_SLACK_H
#define HONE_SLACK_H

#include "base/json.h"
#include "base/vec.h"

#define SLACK_FILE_MAX     ((size_t)256 << 20)
#define SLACK_MESSAGES_MAX 50000000

typedef struct SlackRows {
    VEC(Json *) row;   /* owned, in order of channel and time */
    VEC(char *) note;  /* sentences */
    VEC(char *) lost;  /* sentences, each about a file of the export that could not be read and is not in the rows */
} SlackRows;

/* *is: whether the file is such an export; then its rows. ERR_INPUT: a bound is passed. */
int  slack_read(const char *path, bool *is, SlackRows *out, Err *e);
void slack_release(SlackRows *s);

/* Slack's markup to plain text: <@U1> to @name, <#C1|general> to #general, <http://x|label> to "label (http://x)", &lt; to <. users: id -> name, may be NULL. */
void slack_text(StrBuf *out, Str text, const Json *users);

#endif
