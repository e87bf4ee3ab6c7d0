/* SPDX-License-Identifier: Apache-2.0 */
#include "process/stderr_log.h"

#include "base/json_scan.h"
#include "base/log.h"

#include <stdio.h>

#define LINE_BYTES_MAX 500
#define LINES_PER_SECOND_MAX 100
#define WINDOW_MS 1000

void stderr_log_init(struct stderr_log *log, const char *name)
{
    *log = (struct stderr_log){.partial = BUFFER_INIT};
    snprintf(log->name, sizeof(log->name), "%s", name);
}

void stderr_log_rename(struct stderr_log *log, const char *name)
{
    snprintf(log->name, sizeof(log->name), "%s", name);
}

void stderr_log_forget_tail(struct stderr_log *log)
{
    log->tail_len = 0;
}

void stderr_log_deinit(struct stderr_log *log)
{
    buffer_deinit(&log->partial);
}

/* Control characters always, and all that is not ASCII when the line is not UTF-8. */
static void make_presentable(char *text, size_t len)
{
    bool utf8 = utf8_valid(span_of(text, len));
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '\t')
            text[i] = ' ';
        else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8))
            text[i] = '?';
    }
}

static void tail_append(struct stderr_log *log, struct span line)
{
    size_t need = line.len + 1;
    size_t drop = 0;
    while (log->tail_len - drop + need > sizeof(log->tail)) {
        const char *newline = memchr(log->tail + drop, '\n', log->tail_len - drop);
        drop = newline ? (size_t)(newline - log->tail) + 1 : log->tail_len;
    }
    memmove(log->tail, log->tail + drop, log->tail_len - drop);
    log->tail_len -= drop;
    memcpy(log->tail + log->tail_len, line.data, line.len);
    log->tail_len += need;
    log->tail[log->tail_len - 1] = '\n';
}

static void report_left_out(struct stderr_log *log)
{
    if (log->left_out)
        log_warn("agent", "%s: %u more lines of stderr were left out", log->name, log->left_out);
    log->left_out = 0;
}

static void write_line(struct stderr_log *log, struct span line, uint64_t now_ms)
{
    if (now_ms - log->window >= WINDOW_MS) {
        report_left_out(log);
        log->window = now_ms;
        log->written = 0;
    }
    if (log->written >= LINES_PER_SECOND_MAX) {
        log->left_out++;
        return;
    }
    log->written++;
    log_info("agent", "%s: %.*s", log->name, SPAN_ARG(line));
}

/* The line in `partial` is complete, or as long as a line may be. */
static void take_line(struct stderr_log *log, uint64_t now_ms)
{
    struct buffer *line = &log->partial;
    if (!log->cut && line->len > 0) {
        make_presentable(line->data, line->len);
        tail_append(log, buffer_span(line));
        write_line(log, buffer_span(line), now_ms);
    }
    buffer_clear(line);
}

/* Without the bytes of a character that would be cut in two. */
static size_t whole_characters(const char *text, size_t len)
{
    size_t end = len;
    while (end > 0 && len - end < 4 && ((unsigned char)text[end - 1] & 0xc0) == 0x80)
        end--;
    if (end > 0 && (unsigned char)text[end - 1] >= 0xc0)
        return end - 1;
    return len;
}

static void take_part(struct stderr_log *log, struct span part, uint64_t now_ms)
{
    if (log->cut)
        return;
    size_t room = LINE_BYTES_MAX - log->partial.len;
    if (part.len <= room) {
        buffer_append_span(&log->partial, part);
        return;
    }
    buffer_append(&log->partial, part.data, room);
    log->partial.len = whole_characters(log->partial.data, log->partial.len);
    take_line(log, now_ms);
    log->cut = true;
}

void stderr_log_take(struct stderr_log *log, struct span bytes, uint64_t now_ms)
{
    while (bytes.len) {
        const char *newline = memchr(bytes.data, '\n', bytes.len);
        size_t len = newline ? (size_t)(newline - bytes.data) : bytes.len;
        take_part(log, span_of(bytes.data, len), now_ms);
        if (newline) {
            take_line(log, now_ms);
            log->cut = false;
            len++;
        }
        bytes = span_of(bytes.data + len, bytes.len - len);
    }
}

void stderr_log_end(struct stderr_log *log, uint64_t now_ms)
{
    take_line(log, now_ms);
    report_left_out(log);
}

struct span stderr_log_tail(const struct stderr_log *log)
{
    return span_of(log->tail, log->tail_len ? log->tail_len - 1 : 0);
}
