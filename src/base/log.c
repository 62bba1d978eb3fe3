/* log.c - one line per event. The line is built once, made safe (no line breaks, no control characters: names from foreign files end up
 * here and must not steer a terminal), and handed to standard error and every sink under one lock, so lines never mix.
 * A sink must not log. To add a level: a row in LogLevel and in level_names. */
#include "base/log.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define LOG_SINKS 4
#define LOG_LINE  2048 /* bytes of one event; longer ones are cut */

static const char *const level_names[] = { [LOG_DEBUG] = "debug: ", [LOG_INFO] = "", [LOG_WARN] = "warning: ", [LOG_ERROR] = "error: " };

static struct {
    pthread_mutex_t lock;
    struct { LogSink fn; void *user; } sink[LOG_SINKS];
    int n;
} sinks = { .lock = PTHREAD_MUTEX_INITIALIZER };
static atomic_int  least_level = LOG_INFO;
static atomic_bool to_stderr = true;

void log_level(LogLevel least)
{
    atomic_store(&least_level, (int)least);
}

void log_stderr(bool on)
{
    atomic_store(&to_stderr, on);
}

void log_sink_add(LogSink fn, void *user)
{
    pthread_mutex_lock(&sinks.lock);
    BUG_ON(sinks.n == LOG_SINKS);
    sinks.sink[sinks.n].fn = fn;
    sinks.sink[sinks.n].user = user;
    sinks.n++;
    pthread_mutex_unlock(&sinks.lock);
}

void log_sink_remove(LogSink fn, void *user)
{
    pthread_mutex_lock(&sinks.lock);
    int kept = 0;
    for (int i = 0; i < sinks.n; i++)
        if (sinks.sink[i].fn != fn || sinks.sink[i].user != user)
            sinks.sink[kept++] = sinks.sink[i];
    sinks.n = kept;
    pthread_mutex_unlock(&sinks.lock);
}

void log_at(LogLevel level, const char *room, const char *fmt, ...)
{
    if ((int)level < atomic_load(&least_level))
        return;
    char text[LOG_LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    BUG_ON(n < 0);
    if ((size_t)n >= sizeof text)
        text[utf8_complete(text, sizeof text - 1)] = '\0';
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = ' ';
    pthread_mutex_lock(&sinks.lock);
    if (atomic_load(&to_stderr))
        fprintf(stderr, "%s: %s%s\n", room, level_names[level], text);
    for (int i = 0; i < sinks.n; i++)
        sinks.sink[i].fn(sinks.sink[i].user, level, room, text);
    pthread_mutex_unlock(&sinks.lock);
}
