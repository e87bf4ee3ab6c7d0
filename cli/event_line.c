/* SPDX-License-Identifier: Apache-2.0 */
#include "event_line.h"

#include "event/frame.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COLOUR_RESET "\x1b[0m"
#define COLOUR_DIM "\x1b[2m"
/* "12:00:00.000  partial_result   " */
#define HEAD_WIDTH 31
#define RUN_SHOWN 8
/* Where no terminal says how wide it is. */
#define PIPE_WIDTH 160
/* The columns of flowing text where no terminal says, and the fewest that make sense. */
#define FLOW_WIDTH 80
#define FLOW_LEAST 20

struct event_view event_view_of(FILE *out, bool json)
{
    struct event_view view = {.json = json, .width = PIPE_WIDTH};
    struct winsize size;
    int fd = fileno(out);
    const char *no_colour = getenv("NO_COLOR");
    if (json || !isatty(fd))
        return view;
    view.colour = !no_colour || !*no_colour;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0)
        view.width = size.ws_col;
    return view;
}

/* ---- texts from data */

static const char *text_of(const json_t *data, const char *name)
{
    const char *text = json_string_value(json_object_get(data, name));
    return text ? text : "";
}

/* A string as it is, anything else as JSON; nothing when absent. */
static void append_value(struct buffer *out, const json_t *value)
{
    if (!value)
        return;
    if (json_is_string(value)) {
        buffer_append(out, json_string_value(value), json_string_length(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        buffer_append_string(out, text);
    free(text);
}

static void append_member(
    struct buffer *out, const json_t *data, const char *name, const char *before)
{
    const json_t *value = json_object_get(data, name);
    if (!value)
        return;
    if (out->len)
        buffer_append_string(out, before);
    append_value(out, value);
}

static void append_tool_completed(struct buffer *out, const json_t *data)
{
    buffer_printf(out, "%s: %s", text_of(data, "tool_name"), text_of(data, "status"));
    const json_t *duration = json_object_get(data, "duration_ms");
    if (json_is_integer(duration))
        buffer_printf(out, ", %lld ms", (long long)json_integer_value(duration));
    append_member(out, json_object_get(data, "error"), "message", ": ");
    append_member(out, data, "result", "  ");
}

static void append_tool_executing(struct buffer *out, const json_t *data)
{
    append_member(out, data, "tool_name", "");
    append_member(out, data, "args", " ");
}

static void append_partial_result(struct buffer *out, const json_t *data)
{
    append_member(out, data, "delta", "");
    append_member(out, data, "progress", " ");
}

static void append_error(struct buffer *out, const json_t *data)
{
    append_member(out, data, "code", "");
    append_member(out, data, "message", ": ");
}

static void append_text(struct buffer *out, const struct event *event, const json_t *data)
{
    switch (event->type) {
    case EVENT_RUN_QUEUED: append_member(out, data, "position", ""); break;
    case EVENT_CHAT_MESSAGE:
        append_member(out, data, "role", "");
        append_member(out, data, "content", ": ");
        break;
    case EVENT_AGENT_STARTED: append_member(out, data, "agent", ""); break;
    case EVENT_AGENT_THINKING:
        append_member(out, data, "status", "");
        append_member(out, data, "delta", "");
        break;
    case EVENT_TOOL_EXECUTING: append_tool_executing(out, data); break;
    case EVENT_TOOL_COMPLETED: append_tool_completed(out, data); break;
    case EVENT_PARTIAL_RESULT: append_partial_result(out, data); break;
    case EVENT_AGENT_COMPLETED:
        append_member(out, data, "outcome", "");
        append_member(out, data, "result", ": ");
        break;
    case EVENT_ERROR_EVENT: append_error(out, data); break;
    default: append_value(out, data);
    }
}

/* Control characters, one byte or (U+0080 to U+009F) two, become spaces. */
static void tame(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool high = byte == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
        if (high)
            text[i + 1] = ' ';
        if (high || byte < 0x20 || byte == 0x7f)
            text[i] = ' ';
    }
}

void event_text_append(struct buffer *out, const struct event *event)
{
    struct buffer text = BUFFER_INIT;
    json_t *data = json_loadb(event->data.data ? event->data.data : "", event->data.len, 0, NULL);
    append_text(&text, event, data);
    json_decref(data);
    tame(text.data, text.len);
    buffer_append_span(out, buffer_span(&text));
    buffer_deinit(&text);
}

/* ---- lines */

static const char *colour_of(const struct event *event)
{
    switch (event->type) {
    case EVENT_AGENT_STARTED: return "\x1b[1m";
    case EVENT_TOOL_EXECUTING:
    case EVENT_TOOL_COMPLETED: return "\x1b[36m";
    case EVENT_AGENT_COMPLETED: return "\x1b[32m";
    case EVENT_ERROR_EVENT: return "\x1b[31m";
    case EVENT_AGENT_THINKING:
    case EVENT_RUN_QUEUED: return COLOUR_DIM;
    default: return "";
    }
}

static void append_time(struct buffer *out, uint64_t timestamp)
{
    char text[16];
    struct tm local;
    time_t seconds = (time_t)(timestamp / 1000);
    localtime_r(&seconds, &local);
    strftime(text, sizeof(text), "%H:%M:%S", &local);
    buffer_printf(out, "%s.%03u", text, (unsigned)(timestamp % 1000));
}

/* Where to cut `text` so that it takes `columns`, a character a column, never inside one. */
static size_t cut_at(struct span text, size_t columns)
{
    size_t at = 0;
    for (; at < text.len && columns > 0; columns--) {
        at++;
        while (at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80)
            at++;
    }
    return at;
}

static void append_cut(struct buffer *out, size_t width, size_t used, struct span text)
{
    size_t room = width > used + 1 ? width - used : 0;
    size_t len = width ? cut_at(text, room) : text.len;
    if (width && room && len < text.len) {
        buffer_append(out, text.data, cut_at(text, room - 1));
        buffer_append_string(out, "…");
    } else {
        buffer_append(out, text.data, len);
    }
}

/* Time, run and type; returns the columns they take. */
static size_t append_head(
    struct buffer *out, const struct event_view *view, const struct event *event)
{
    size_t start = out->len;
    struct span run = event->run_id;
    append_time(out, event->timestamp);
    if (run.len > RUN_SHOWN) /* identifiers differ at their end */
        run = span_of(run.data + run.len - RUN_SHOWN, RUN_SHOWN);
    if (view->with_run)
        buffer_printf(out, "  %-*.*s", RUN_SHOWN, SPAN_ARG(run));
    buffer_printf(out, "  %-15s  ", event_type_name(event->type));
    return out->len - start;
}

static void append_line(
    struct buffer *out, const struct event_view *view, const struct event *event)
{
    struct buffer text = BUFFER_INIT;
    size_t used = append_head(out, view, event);
    bool is_error = event->type == EVENT_ERROR_EVENT; /* never cut: it says what to do */
    event_text_append(&text, event);
    if (event->flags & EVENT_FLAG_SYNTHETIC)
        buffer_append_string(&text, "  (by the broker)");
    buffer_append_string(out, view->colour ? colour_of(event) : "");
    append_cut(out, is_error ? 0 : view->width, used, buffer_span(&text));
    buffer_append_string(out, view->colour && *colour_of(event) ? COLOUR_RESET "\n" : "\n");
    buffer_deinit(&text);
}

/* ---- flowing text */

static bool flows(const struct event *event)
{
    return event->type == EVENT_PARTIAL_RESULT && event->message_id.len > 0 &&
           event->message_id.len < IDENTIFIER_SIZE;
}

void event_line_end(struct buffer *out, struct event_view *view)
{
    if (view->column)
        buffer_append_char(out, '\n');
    view->column = 0;
}

static void break_line(struct buffer *out, struct event_view *view, size_t indent)
{
    buffer_printf(out, "\n%*s", (int)indent, "");
    view->column = indent;
}

/* Appends words, breaking the line before one that does not fit. */
static void append_flow(
    struct buffer *out, struct event_view *view, size_t indent, struct span text)
{
    size_t width = view->width > indent + FLOW_LEAST ? view->width : indent + FLOW_WIDTH;
    for (size_t at = 0; at < text.len;) {
        size_t len = 1, columns = 1;
        while (at + len < text.len && text.data[at + len] != ' ') {
            columns += ((unsigned char)text.data[at + len] & 0xc0) != 0x80;
            len++;
        }
        if (view->column + columns > width && view->column > indent) {
            break_line(out, view, indent);
            if (text.data[at] == ' ') {
                at++, len--, columns--;
            }
        }
        buffer_append(out, text.data + at, len);
        view->column += columns;
        at += len;
    }
}

static void append_text_event(
    struct buffer *out, struct event_view *view, const struct event *event)
{
    struct buffer text = BUFFER_INIT;
    size_t indent = HEAD_WIDTH + (view->with_run ? RUN_SHOWN + 2 : 0);
    event_text_append(&text, event);
    if (text.len && (!view->column || !span_is(event->message_id, view->flow))) {
        event_line_end(out, view);
        view->column = append_head(out, view, event);
        memcpy(view->flow, event->message_id.data, event->message_id.len);
        view->flow[event->message_id.len] = '\0';
    }
    append_flow(out, view, indent, buffer_span(&text));
    buffer_deinit(&text);
}

void event_line_append(
    struct buffer *out, struct event_view *view, const struct event *event, uint64_t prev)
{
    if (view->json) {
        event_frame_append(out, event, prev);
        buffer_append_char(out, '\n');
    } else if (flows(event)) {
        append_text_event(out, view, event);
    } else {
        event_line_end(out, view);
        append_line(out, view, event);
    }
}

void event_gap_print(uint64_t from, uint64_t to, const char *reason)
{
    printf("{\"type\":\"gap\",\"from\":%llu,\"to\":%llu,\"reason\":\"%s\"}\n",
        (unsigned long long)from, (unsigned long long)to, reason);
}
