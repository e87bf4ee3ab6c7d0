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

struct event_view event_view_of(FILE *out, bool json)
{
    struct event_view view = {.json = json};
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

static void append_line(
    struct buffer *out, const struct event_view *view, const struct event *event)
{
    struct buffer text = BUFFER_INIT;
    size_t start = out->len;
    append_time(out, event->timestamp);
    if (view->with_run)
        buffer_printf(out, "  %-*.*s", 8, event->run_id.len > 8 ? 8 : (int)event->run_id.len,
            event->run_id.len > 8 ? event->run_id.data + event->run_id.len - 8
            : event->run_id.data  ? event->run_id.data
                                  : "");
    buffer_printf(out, "  %-15s  ", event_type_name(event->type));
    size_t used = out->len - start;
    event_text_append(&text, event);
    if (event->flags & EVENT_FLAG_SYNTHETIC)
        buffer_append_string(&text, "  (by the broker)");
    buffer_append_string(out, view->colour ? colour_of(event) : "");
    append_cut(out, view->width, used, buffer_span(&text));
    buffer_append_string(out, view->colour && *colour_of(event) ? COLOUR_RESET "\n" : "\n");
    buffer_deinit(&text);
}

void event_line_append(
    struct buffer *out, const struct event_view *view, const struct event *event, uint64_t prev)
{
    if (!view->json) {
        append_line(out, view, event);
        return;
    }
    event_frame_append(out, event, prev, NULL);
    buffer_append_char(out, '\n');
}
