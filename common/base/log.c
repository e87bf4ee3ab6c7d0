/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *log_program = "ringside";
static enum log_level log_threshold = LOG_INFO;

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static size_t log_prefix(char *line, size_t size, enum log_level level, const char *topic)
{
    struct timeval now;
    struct tm utc;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + len, size - len, ".%03dZ %s %s %s: ", (int)(now.tv_usec / 1000),
        level_names[level], log_program, topic);
    return len + (more > 0 ? (size_t)more : 0);
}

void log_write(enum log_level level, const char *topic, const char *format, ...)
{
    if (level < log_threshold)
        return;
    int saved = errno;
    char line[LINE_MAX_BYTES];
    size_t len = log_prefix(line, sizeof(line) - 1, level, topic);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + len, sizeof(line) - 1 - len, format, args);
    va_end(args);
    len += more > 0 ? (size_t)more : 0;
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nowhere left to say it */
    errno = saved;
}
