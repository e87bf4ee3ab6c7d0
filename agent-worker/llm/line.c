/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define CHUNK 65536
#define LINE_MAX_BYTES (128u * 1024u * 1024u) /* a tool's result comes in one */
#define FULL 262144

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int llm_line_init(struct llm_line *line)
{
    *line = (struct llm_line){.in = BUFFER_INIT, .out = BUFFER_INIT};
    line->lines = (struct lines){.bytes = &line->in, .max = LINE_MAX_BYTES};
    int rc = set_nonblocking(STDIN_FILENO);
    return rc ? rc : set_nonblocking(STDOUT_FILENO);
}

void llm_line_deinit(struct llm_line *line)
{
    buffer_deinit(&line->in);
    buffer_deinit(&line->out);
}

int llm_line_read(struct llm_line *line)
{
    while (!line->closed) {
        char *room = buffer_reserve(&line->in, CHUNK);
        if (!room)
            return -ENOMEM;
        ssize_t got = read(STDIN_FILENO, room, CHUNK);
        if (got > 0)
            line->in.len += (size_t)got;
        else if (got == 0)
            line->closed = true;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

bool llm_line_next(struct llm_line *line, struct rpc_message *ret_message)
{
    struct span text;
    const char *reason;
    int rc;
    while ((rc = lines_peek(&text, &line->lines)) == 1) {
        if (rpc_parse(ret_message, text, &reason) == 0)
            return true;
        fprintf(stderr, "the worker's message makes no sense: %s\n", reason);
        lines_drop(&line->lines);
    }
    line->closed |= rc < 0;
    return false;
}

void llm_line_drop(struct llm_line *line)
{
    lines_drop(&line->lines);
}

int llm_line_write(struct llm_line *line)
{
    size_t done = 0;
    int rc = buffer_error(&line->out);
    while (!rc && done < line->out.len) {
        ssize_t wrote = write(STDOUT_FILENO, line->out.data + done, line->out.len - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            rc = -errno;
    }
    buffer_consume(&line->out, done);
    return rc;
}

bool llm_line_is_full(const struct llm_line *line)
{
    return line->out.len > FULL;
}

void llm_line_notify(struct llm_line *line, const char *method, const struct buffer *params)
{
    rpc_append_notification(&line->out, method, buffer_span(params));
    line->out.broken |= params->broken;
}

uint64_t llm_line_ask(struct llm_line *line, const char *method, const struct buffer *params)
{
    rpc_append_request(&line->out, ++line->last_id, method, buffer_span(params));
    line->out.broken |= params->broken;
    return line->last_id;
}
