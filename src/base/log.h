/* log.h - one line per event to a sink (standard error by default, and the run's log.txt). The library never prints by itself. */
#ifndef HONE_LOG_H
#define HONE_LOG_H

#include "base/base.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;
typedef void (*LogSink)(void *user, LogLevel level, const char *room, const char *text);

void log_level(LogLevel least);
void log_sink_add(LogSink fn, void *user);       /* besides standard error; at most 4 */
void log_sink_remove(LogSink fn, void *user);
void log_stderr(bool on);
void log_at(LogLevel level, const char *room, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define log_debug(room, ...) log_at(LOG_DEBUG, room, __VA_ARGS__)
#define log_info(room, ...) log_at(LOG_INFO, room, __VA_ARGS__)
#define log_warn(room, ...) log_at(LOG_WARN, room, __VA_ARGS__)
#define log_error(room, ...) log_at(LOG_ERROR, room, __VA_ARGS__)

#endif
