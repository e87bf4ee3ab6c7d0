/* SPDX-License-Identifier: Apache-2.0 */
#include "batch/input.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#define READ_CHUNK (256u << 10)

/* ---- one line */

/* What is wrong with a line. */
struct problem {
    char text[160];
};

static bool wrong(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool wrong(struct problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
    return false;
}

static bool take_id(char ret_id[IDENTIFIER_SIZE], struct span value, const char *name,
    const char *fallback, struct problem *problem)
{
    if (value.len == 0)
        snprintf(ret_id, IDENTIFIER_SIZE, "%s", fallback);
    else if (!json_identifier(ret_id, value))
        return wrong(problem, "\"%s\" is no identifier: 1 to %d printable characters, no space",
            name, IDENTIFIER_MAX);
    return true;
}

static bool take_request_id(
    char ret_id[IDENTIFIER_SIZE], struct span value, uint64_t line, struct problem *problem)
{
    uint64_t number = line;
    if (value.len == 0 || json_uint(&number, value)) {
        snprintf(ret_id, IDENTIFIER_SIZE, "%llu", (unsigned long long)number);
        return true;
    }
    return take_id(ret_id, value, "request_id", "", problem);
}

/* A text that is not empty, or a list of parts, each an object: as in a client's message. */
static bool is_content(struct span content)
{
    if (json_kind(content) == JSON_STRING)
        return content.len > 2; /* more than its quotation marks */
    if (json_kind(content) != JSON_ARRAY)
        return false;
    struct span rest = json_trim(span_of(content.data + 1, content.len - 2));
    return rest.len > 0 && json_kind(rest) == JSON_OBJECT;
}

struct line {
    struct span text;
    uint64_t number;
};

static bool parse(char ret_id[IDENTIFIER_SIZE], struct batch_content *content,
    const struct batch_input *input, const struct line *line, struct problem *problem)
{
    struct span id, agent, user, thread;
    const struct json_wanted wanted[] = {{"request_id", &id}, {"agent", &agent},
        {"content", &content->content}, {"user_id", &user}, {"thread_id", &thread}};
    char made[IDENTIFIER_MADE_SIZE];
    if (!json_scan_valid_object(line->text))
        return wrong(problem, "it is not one JSON object");
    json_members(json_trim(line->text), wanted, ARRAY_SIZE(wanted));
    identifier_make(made, "t-");
    if (!take_request_id(ret_id, id, line->number, problem) ||
        !take_id(content->agent, agent, "agent", input->default_agent, problem) ||
        !take_id(content->user_id, user, "user_id", BATCH_USER, problem) ||
        !take_id(content->thread_id, thread, "thread_id", made, problem))
        return false;
    if (content->content.len == 0)
        return wrong(problem, "\"content\" is missing");
    if (!is_content(content->content))
        return wrong(problem, "\"content\" is neither a text nor a list of objects");
    if (!content->agent[0])
        return wrong(problem, "\"agent\" is missing; --agent gives one to all");
    if (!registry_find(input->registry, span_of_string(content->agent)))
        return wrong(problem, "there is no agent \"%.60s\"", content->agent);
    return true;
}

/* ---- the whole file */

struct scan {
    struct batch_input *input;
    const struct batch_input_options *options;
    struct buffer bytes; /* read, and not yet a line */
    uint64_t offset;     /* of bytes' first in the file */
    uint64_t line;
    bool skipping; /* within a line that is too long */
};

static void refuse(struct scan *scan, uint64_t line, const char *reason)
{
    scan->input->malformed++;
    scan->options->malformed(scan->options->context, line, reason);
}

static int grow(struct batch_input *input)
{
    size_t cap = input->cap ? input->cap * 2 : 1024;
    struct batch_request *requests = realloc(input->requests, cap * sizeof(*requests));
    if (!requests)
        return -ENOMEM;
    input->requests = requests;
    input->cap = cap;
    return 0;
}

static int add(struct scan *scan, const char *id, size_t length)
{
    struct batch_input *input = scan->input;
    if (input->count == input->cap && grow(input) < 0)
        return -ENOMEM;
    struct batch_request *request = &input->requests[input->count];
    *request = (struct batch_request){
        .id = strdup(id), .offset = scan->offset, .length = (uint32_t)length, .line = scan->line};
    if (!request->id)
        return -ENOMEM;
    input->count++;
    return 0;
}

static int scan_line(struct scan *scan, struct span text)
{
    char id[IDENTIFIER_SIZE];
    struct batch_content content;
    struct problem problem;
    const struct line line = {text, scan->line};
    if (json_trim(text).len == 0)
        return 0;
    if (!parse(id, &content, scan->input, &line, &problem)) {
        refuse(scan, scan->line, problem.text);
        return 0;
    }
    return add(scan, id, text.len);
}

/* Takes the lines out of `bytes`; at the `end`, what is left is a line as well. */
static int scan_lines(struct scan *scan, bool end)
{
    struct buffer *bytes = &scan->bytes;
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && at < bytes->len) {
        const char *begin = bytes->data + at;
        const char *newline = memchr(begin, '\n', bytes->len - at);
        if (!newline && !end)
            break;
        size_t length = newline ? (size_t)(newline - begin) : bytes->len - at;
        scan->line += !scan->skipping;
        if (length > BATCH_LINE_MAX && !scan->skipping)
            refuse(scan, scan->line, "it is longer than 16 MiB");
        else if (!scan->skipping)
            rc = scan_line(scan, span_of(begin, length));
        scan->skipping = false;
        at += length + (newline != NULL);
        scan->offset += length + (newline != NULL);
    }
    buffer_consume(bytes, at < bytes->len ? at : bytes->len);
    return rc;
}

static void skip_long(struct scan *scan)
{
    if (scan->bytes.len <= BATCH_LINE_MAX)
        return;
    if (!scan->skipping)
        refuse(scan, ++scan->line, "it is longer than 16 MiB");
    scan->skipping = true;
    scan->offset += scan->bytes.len;
    buffer_clear(&scan->bytes);
}

static int scan_file(struct scan *scan)
{
    int rc = 0;
    while (rc == 0) {
        char *room = buffer_reserve(&scan->bytes, READ_CHUNK);
        if (!room)
            return -ENOMEM;
        ssize_t got = read(scan->input->fd, room, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : scan_lines(scan, true);
        scan->bytes.len += (size_t)got;
        rc = scan_lines(scan, false);
        skip_long(scan);
    }
    return rc;
}

/* ---- names */

/* The first request of an identifier has it: those that follow are left out, in place. */
static int index_requests(struct scan *scan)
{
    struct batch_input *input = scan->input;
    size_t kept = 0;
    for (size_t i = 0; i < input->count; i++) {
        struct batch_request request = input->requests[i];
        const struct batch_request *first = map_get(&input->by_id, span_of_string(request.id));
        if (first) {
            char reason[IDENTIFIER_SIZE + 64];
            snprintf(reason, sizeof(reason), "line %llu has the request_id \"%s\" already",
                (unsigned long long)first->line, request.id);
            refuse(scan, request.line, reason);
            free(request.id);
            continue;
        }
        input->requests[kept] = request;
        if (map_put(&input->by_id, span_of_string(request.id), &input->requests[kept]) < 0) {
            memmove(
                &input->requests[kept], &input->requests[i], (input->count - i) * sizeof(request));
            input->count -= i - kept;
            return -ENOMEM;
        }
        kept++;
    }
    input->count = kept;
    return 0;
}

struct batch_request *batch_input_find(const struct batch_input *input, struct span id)
{
    return map_get(&input->by_id, id);
}

/* ---- life */

/* A pipe cannot be read twice. */
static int spool(int from)
{
    _cleanup_close_ int fd = memfd_create("ringside-batch", MFD_CLOEXEC);
    char chunk[65536];
    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t got = read(from, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 || lseek(fd, 0, SEEK_SET) < 0 ? -errno : steal_fd(&fd);
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(fd, chunk + done, (size_t)(got - done));
            if (wrote < 0)
                return -errno;
            done += wrote;
        }
    }
}

static int open_file(const char *path)
{
    if (strcmp(path, "-") == 0)
        return spool(STDIN_FILENO);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return lseek(fd, 0, SEEK_CUR) < 0 ? spool(fd) : steal_fd(&fd);
}

int batch_input_init(struct batch_input *input, const struct batch_input_options *options)
{
    struct scan scan = {.input = input, .options = options};
    *input = (struct batch_input){.registry = options->registry,
        .default_agent = strdup(options->default_agent),
        .fd = open_file(options->path)};
    if (!input->default_agent)
        return -ENOMEM;
    if (input->fd < 0)
        return input->fd;
    int rc = scan_file(&scan);
    if (!rc)
        rc = index_requests(&scan);
    buffer_deinit(&scan.bytes);
    return rc;
}

void batch_input_deinit(struct batch_input *input)
{
    map_deinit(&input->by_id);
    for (size_t i = 0; i < input->count; i++)
        free(input->requests[i].id);
    free(input->requests);
    free(input->default_agent);
    if (input->fd >= 0)
        close(input->fd);
}

/* ---- a request's turn */

int batch_input_read(const struct batch_input *input, const struct batch_request *request,
    struct batch_content *ret_content)
{
    struct problem problem;
    char id[IDENTIFIER_SIZE];
    struct buffer *line = &ret_content->line;
    buffer_clear(line);
    char *room = buffer_reserve(line, request->length);
    if (!room)
        return -ENOMEM;
    while (line->len < request->length) {
        ssize_t got = pread(input->fd, room + line->len, request->length - line->len,
            (off_t)(request->offset + line->len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -EIO;
        line->len += (size_t)got;
    }
    const struct line whole = {buffer_span(line), request->line};
    if (!parse(id, ret_content, input, &whole, &problem) || strcmp(id, request->id) != 0)
        return -EIO;
    return 0;
}
