/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lines on stderr: "2026-01-31T12:00:00.123Z warn broker history: text". One line a call, written
 * with one write(2), never longer than 2 KiB. Programs log; library code returns errors.
 * Thread-safe. No secrets: tokens and payloads never go in.
 */
enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
};

/* `program` is borrowed for ever: pass a literal. */
void log_init(const char *program, enum log_level level);
/* -EINVAL for an unknown name. */
int log_level_parse(const char *name, enum log_level *ret_level);
void log_write(enum log_level level, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(topic, ...) log_write(LOG_DEBUG, topic, __VA_ARGS__)
#define log_info(topic, ...) log_write(LOG_INFO, topic, __VA_ARGS__)
#define log_warn(topic, ...) log_write(LOG_WARN, topic, __VA_ARGS__)
#define log_error(topic, ...) log_write(LOG_ERROR, topic, __VA_ARGS__)
