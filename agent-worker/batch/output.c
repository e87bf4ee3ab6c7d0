/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of results is lines of two kinds: events, {"type":"agent_started",…}, and results,
 * {"type":"result",…}. It is read line by line; `kept` is where the last result ends. Behind it
 * there may be events and half a line of a request whose write was interrupted. A line that is
 * neither is somebody else's: the file is left alone.
 */
#include "batch/output.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "event/event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>

#define LINE_BEGIN "{\"type\":\""

static int problem(struct batch_output_problem *ret_problem, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int problem(struct batch_output_problem *ret_problem, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ret_problem->text, sizeof(ret_problem->text), format, args);
    va_end(args);
    return rc;
}

/* ---- what the file says */

struct past {
    FILE *file;
    struct batch_input *input;
    FILE *keep;          /* where what is kept is copied to, with retry_failed; else NULL */
    struct buffer group; /* the lines since the last result */
    uint64_t line;
    uint64_t offset; /* behind the line in hand */
    uint64_t kept;   /* behind the last result */
    uint64_t seq;    /* of the last event in front of it */
    uint64_t seen;   /* of the last event */
    uint64_t results, unknown, failed;
    bool foreign; /* an event that no batch has written */
};

enum line_kind {
    LINE_EVENT,
    LINE_RESULT,
    LINE_FOREIGN,
};

struct result {
    struct span id;
    struct span status;
};

static enum line_kind kind_of(struct span line, struct result *ret_result)
{
    struct span type, id, status, name;
    const struct json_wanted wanted[] = {{"type", &type}, {"request_id", &id}, {"status", &status}};
    if (!json_scan_valid_object(line) || !json_members(line, wanted, ARRAY_SIZE(wanted)) ||
        !json_plain_string(&name, type))
        return LINE_FOREIGN;
    if (event_type_parse(name) != EVENT_NONE)
        return LINE_EVENT;
    bool result = span_is(name, "result") && json_plain_string(&ret_result->id, id) &&
                  json_plain_string(&ret_result->status, status);
    return result ? LINE_RESULT : LINE_FOREIGN;
}

static uint64_t seq_of(struct span line)
{
    struct span seq;
    uint64_t number = 0;
    const struct json_wanted wanted[] = {{"seq", &seq}};
    json_members(line, wanted, ARRAY_SIZE(wanted));
    return json_uint(&number, seq) ? number : 0;
}

/* Numbers close up behind what is taken out. */
static void keep_event(struct past *past, struct span line)
{
    struct span seq, prev;
    struct buffer *group = &past->group;
    const struct json_wanted wanted[] = {{"seq", &seq}, {"prev", &prev}};
    json_members(line, wanted, ARRAY_SIZE(wanted));
    past->seen++;
    if (seq.len == 0 || prev.len == 0 || prev.data < seq.data) {
        past->foreign = true;
        return;
    }
    buffer_append(group, line.data, (size_t)(seq.data - line.data));
    buffer_append_uint(group, past->seen);
    buffer_append_string(group, ",\"prev\":");
    buffer_append_uint(group, past->seen - 1);
    buffer_append_span(group,
        span_of(prev.data + prev.len, line.len - (size_t)(prev.data + prev.len - line.data)));
    buffer_append_char(group, '\n');
}

static void take_event(struct past *past, struct span line)
{
    if (past->keep)
        keep_event(past, line);
    else
        past->seen = seq_of(line);
}

static void take_result(struct past *past, struct span line, const struct result *result)
{
    struct batch_request *request = batch_input_find(past->input, result->id);
    bool failed = !span_is(result->status, "completed");
    bool again = past->keep && failed;
    past->failed += failed && !again;
    past->results++;
    past->unknown += request == NULL;
    if (request && !again)
        request->done = true;
    if (past->keep && !again) {
        buffer_append_span(&past->group, line);
        buffer_append_char(&past->group, '\n');
        fwrite(past->group.data, 1, past->group.len, past->keep);
    }
    if (again)
        past->seen = past->seq;
    past->seq = past->seen;
    past->kept = past->offset;
    buffer_clear(&past->group);
}

static int take_line(struct past *past, struct span line)
{
    struct result result;
    switch (kind_of(line, &result)) {
    case LINE_EVENT: take_event(past, line); return past->foreign ? -EBADMSG : 0;
    case LINE_RESULT: take_result(past, line, &result); return 0;
    default: return -EBADMSG;
    }
}

/* What a write that was interrupted leaves begins like every line. */
static bool is_torn(const char *text, size_t length)
{
    size_t compared = length < sizeof(LINE_BEGIN) - 1 ? length : sizeof(LINE_BEGIN) - 1;
    return memcmp(text, LINE_BEGIN, compared) == 0;
}

static int read_past(struct past *past)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t length;
    int rc = 0;
    while (rc == 0 && (length = getline(&text, &cap, past->file)) > 0) {
        past->line++;
        past->offset += (uint64_t)length;
        if (text[length - 1] == '\n')
            rc = take_line(past, span_of(text, (size_t)length - 1));
        else if (!is_torn(text, (size_t)length))
            rc = -EBADMSG;
    }
    if (rc == 0 && ferror(past->file))
        rc = -EIO;
    free(text);
    return rc;
}

static int judge_past(const struct past *past, int rc, struct batch_output_problem *ret_problem)
{
    if (rc == -EBADMSG)
        return problem(ret_problem, rc,
            "line %llu is neither a result nor an event: is it a file of results?",
            (unsigned long long)past->line);
    if (rc)
        return problem(ret_problem, rc, "%s", strerror(-rc));
    if (past->results && past->unknown == past->results)
        return problem(ret_problem, -EEXIST, "its %llu results are all of other requests",
            (unsigned long long)past->results);
    return 0;
}

/* ---- opening */

static int lock(int fd, struct batch_output_problem *ret_problem)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return problem(ret_problem, -EBUSY, "another batch writes it");
    return problem(ret_problem, -errno, "%s", strerror(errno));
}

static int cut(int fd, uint64_t length, struct batch_output_problem *ret_problem)
{
    if (ftruncate(fd, (off_t)length) == 0)
        return 0;
    return problem(ret_problem, -errno, "%s", strerror(errno));
}

static int read_own(
    struct batch_output *output, struct past *past, struct batch_output_problem *ret_problem)
{
    int copy = dup(output->fd);
    past->file = copy < 0 ? NULL : fdopen(copy, "r");
    if (!past->file)
        return problem(ret_problem, -errno, "%s", strerror(errno));
    int rc = judge_past(past, read_past(past), ret_problem);
    fclose(past->file);
    buffer_deinit(&past->group);
    return rc;
}

static int open_file(struct batch_output *output, struct batch_output_problem *ret_problem)
{
    output->fd = open(output->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (output->fd < 0)
        return problem(ret_problem, -errno, "%s", strerror(errno));
    return lock(output->fd, ret_problem);
}

static int resume(struct batch_output *output, struct batch_input *input,
    struct batch_output_problem *ret_problem)
{
    struct past past = {.input = input};
    int rc = read_own(output, &past, ret_problem);
    output->seq = past.seq;
    output->failed = past.failed;
    return rc ? rc : cut(output->fd, past.kept, ret_problem);
}

static int resume_without_failed(struct batch_output *output, struct batch_input *input,
    struct batch_output_problem *ret_problem)
{
    char beside[4096];
    struct past past = {.input = input};
    if (snprintf(beside, sizeof(beside), "%s.new", output->path) >= (int)sizeof(beside))
        return problem(ret_problem, -ENAMETOOLONG, "its path is too long");
    int fd = open(beside, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    int copy = fd < 0 ? -1 : dup(fd);
    past.keep = copy < 0 ? NULL : fdopen(copy, "w");
    if (!past.keep)
        return problem(ret_problem, -errno, "%s: %s", beside, strerror(errno));
    int rc = lock(fd, ret_problem);
    if (!rc)
        rc = read_own(output, &past, ret_problem);
    bool lost = ferror(past.keep) != 0;
    lost = fclose(past.keep) != 0 || lost;
    if (!rc && (lost || fdatasync(fd) < 0 || rename(beside, output->path) < 0))
        rc = problem(ret_problem, -EIO, "%s: %s", beside, strerror(errno));
    if (rc) {
        unlink(beside);
        close(fd);
        return rc;
    }
    close(output->fd);
    output->fd = fd;
    output->seq = past.seq;
    return 0;
}

int batch_output_init(struct batch_output *output, const char *path, bool retry_failed,
    struct batch_input *input, struct batch_output_problem *ret_problem)
{
    *output = (struct batch_output){.fd = STDOUT_FILENO, .path = path};
    if (!path)
        return 0;
    int rc = open_file(output, ret_problem);
    if (!rc)
        rc = retry_failed ? resume_without_failed(output, input, ret_problem)
                          : resume(output, input, ret_problem);
    return rc;
}

void batch_output_deinit(struct batch_output *output)
{
    if (output->path && output->fd >= 0)
        close(output->fd);
}

/* ---- writing */

int batch_output_write(struct batch_output *output, struct span lines)
{
    while (lines.len) {
        ssize_t wrote = write(output->fd, lines.data, lines.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        lines = span_of(lines.data + wrote, lines.len - (size_t)wrote);
    }
    output->unsynced = output->path != NULL;
    return 0;
}

int batch_output_sync(struct batch_output *output)
{
    if (!output->unsynced)
        return 0;
    output->unsynced = false;
    return fdatasync(output->fd) < 0 ? -errno : 0;
}
