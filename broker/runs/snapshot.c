/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/snapshot.h"

#include "base/json.h"
#include "base/json_member.h"
#include "base/json_scan.h"
#include "runs/pieces.h"

#include <stdlib.h>

/* A message, a tool call or an interrupt. */
struct snapshot_item {
    struct list_link link;
    struct pieces text; /* a message's */
    struct buffer body; /* a tool's name, quoted; an interrupt's data */
    struct buffer args; /* a tool's, JSON; empty: it had none, or they did not fit */
    uint64_t since_ms;
    uint64_t missing; /* characters cut off the front of a text */
    bool final;       /* a message's text is complete */
    bool truncated;   /* and was closed by the broker */
    char id[];
};

/* ---- items */

static void list_start(struct snapshot_list *list)
{
    *list = (struct snapshot_list){.count = 0};
    list_init(&list->items);
}

void snapshot_init(struct snapshot *snapshot)
{
    *snapshot = (struct snapshot){.current = NULL};
    list_start(&snapshot->texts);
    list_start(&snapshot->tools);
    list_start(&snapshot->interrupts);
}

static void drop(struct snapshot_list *list, struct snapshot_item *item)
{
    list_remove(&item->link);
    list->count--;
    pieces_deinit(&item->text);
    buffer_deinit(&item->body);
    buffer_deinit(&item->args);
    free(item);
}

static void drop_all(struct snapshot_list *list)
{
    LIST_FOR_EACH(struct snapshot_item, item, &list->items, link)
    drop(list, item);
}

void snapshot_deinit(struct snapshot *snapshot)
{
    drop_all(&snapshot->texts);
    drop_all(&snapshot->tools);
    drop_all(&snapshot->interrupts);
    buffer_deinit(&snapshot->status);
}

static struct snapshot_item *find(const struct snapshot_list *list, struct span id)
{
    LIST_FOR_EACH(struct snapshot_item, item, &list->items, link)
    {
        if (span_is(id, item->id))
            return item;
    }
    return NULL;
}

static struct snapshot_item *add(struct snapshot_list *list, struct span id, uint64_t now_ms)
{
    struct snapshot_item *item = NULL;
    if (list->count < SNAPSHOT_ITEMS_MAX)
        item = calloc(1, sizeof(*item) + id.len + 1);
    if (!item) {
        list->left_out++;
        return NULL;
    }
    if (id.len)
        memcpy(item->id, id.data, id.len);
    item->since_ms = now_ms;
    list_append(&list->items, &item->link);
    list->count++;
    return item;
}

/* ---- text */

/* Each message kept counts beside its text, so that there cannot be many without any. */
static size_t cost_of(const struct snapshot_item *text)
{
    return text->text.len + sizeof(*text);
}

static bool is_surrogate_pair(struct span text, size_t at)
{
    return at + 12 <= text.len && text.data[at + 6] == '\\' && text.data[at + 7] == 'u' &&
           (text.data[at + 2] | 0x20) == 'd' && strchr("89abAB", text.data[at + 3]);
}

/* Bytes of the character at `at` of escaped text. */
static size_t character(struct span text, size_t at)
{
    unsigned char lead = (unsigned char)text.data[at];
    size_t len = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == '\\' && at + 1 < text.len) {
        if (text.data[at + 1] != 'u')
            len = 2;
        else
            len = is_surrogate_pair(text, at) ? 12 : 6;
    }
    return at + len < text.len ? len : text.len - at;
}

/* Characters in the first `*bytes` bytes of escaped text, which are made more when they end within
 * one. */
static uint64_t count_characters(struct span text, size_t *bytes)
{
    uint64_t count = 0;
    size_t end = *bytes < text.len ? *bytes : text.len;
    size_t at = 0;
    while (at < end) {
        size_t plain = json_plain_length(span_of(text.data + at, end - at));
        count += plain;
        at += plain;
        if (at == end)
            break;
        at += character(text, at);
        count++;
    }
    *bytes = at;
    return count;
}

/* Takes at least `bytes` of whole characters off the front. */
static void cut_front(struct snapshot *snapshot, struct snapshot_item *text, size_t bytes)
{
    while (bytes > 0 && text->text.len) {
        size_t cut = bytes;
        text->missing += count_characters(pieces_front(&text->text), &cut);
        pieces_drop(&text->text, cut);
        snapshot->text_bytes -= cut;
        bytes -= cut < bytes ? cut : bytes;
    }
}

static void make_room(struct snapshot *snapshot, size_t limit)
{
    size_t most = limit > snapshot->detail_bytes ? limit - snapshot->detail_bytes : 0;
    if (snapshot->text_bytes <= most)
        return;
    size_t keep = most - most / 4;
    LIST_FOR_EACH(struct snapshot_item, text, &snapshot->texts.items, link)
    {
        if (snapshot->text_bytes <= keep)
            return;
        if (!text->final) {
            cut_front(snapshot, text, snapshot->text_bytes - keep);
            continue;
        }
        snapshot->text_bytes -= cost_of(text);
        snapshot->gone++;
        if (snapshot->current == text)
            snapshot->current = NULL;
        drop(&snapshot->texts, text);
    }
}

static struct snapshot_item *text_of(struct snapshot *snapshot, const struct event *event)
{
    struct snapshot_item *text = snapshot->current;
    if (text && span_is(event->message_id, text->id))
        return text;
    text = find(&snapshot->texts, event->message_id);
    if (!text) {
        text = add(&snapshot->texts, event->message_id, event->timestamp);
        snapshot->text_bytes += text ? cost_of(text) : 0;
    }
    snapshot->current = text;
    return text;
}

/* Without memory for it the text goes on behind it, and says how much is missing. */
static void append_delta(struct snapshot *snapshot, struct snapshot_item *text, struct span delta)
{
    if (pieces_append(&text->text, delta) == 0) {
        snapshot->text_bytes += delta.len;
        return;
    }
    cut_front(snapshot, text, text->text.len);
    text->missing += count_characters(delta, &delta.len);
}

static void fold_text(struct snapshot *snapshot, const struct event *event)
{
    struct snapshot_item *text = text_of(snapshot, event);
    if (!text)
        return;
    append_delta(snapshot, text, json_member_inside(json_member_value(event->data, "delta")));
    if (!(event->flags & EVENT_FLAG_FINAL))
        return;
    text->final = true;
    text->truncated |= span_is(json_member_value(event->data, "truncated"), "true");
}

/* ---- the rest */

/* Half of the limit is for these; what does not fit is left out. */
static void keep_detail(
    struct snapshot *snapshot, struct buffer *to, struct span detail, size_t limit)
{
    if (detail.len == 0 || snapshot->detail_bytes + detail.len > limit / 2)
        return;
    buffer_append_span(to, detail);
    snapshot->detail_bytes += to->len;
}

static void begin_tool(struct snapshot *snapshot, const struct event *event, size_t limit)
{
    if (find(&snapshot->tools, event->tool_call_id))
        return;
    struct snapshot_item *tool = add(&snapshot->tools, event->tool_call_id, event->timestamp);
    if (!tool)
        return;
    struct span name = json_member_value(event->data, "tool_name");
    if (name.len <= SNAPSHOT_STATUS_MAX && json_member_inside(name).len)
        buffer_append_span(&tool->body, name);
    keep_detail(snapshot, &tool->args, json_member_value(event->data, "args"), limit);
}

static void end_item(struct snapshot *snapshot, struct snapshot_list *list, struct span id)
{
    struct snapshot_item *item = find(list, id);
    if (!item) {
        list->left_out -= list->left_out > 0;
        return;
    }
    snapshot->detail_bytes -= list == &snapshot->tools ? item->args.len : item->body.len;
    drop(list, item);
}

/* As written; what is no identifier is told apart by its beginning. */
static struct span interrupt_of(const struct event *event)
{
    struct span id = json_member_inside(json_member_value(event->data, "interrupt_id"));
    return id.len <= IDENTIFIER_MAX ? id : span_of(id.data, IDENTIFIER_MAX);
}

static void begin_interrupt(struct snapshot *snapshot, const struct event *event, size_t limit)
{
    struct span id = interrupt_of(event);
    if (find(&snapshot->interrupts, id))
        return;
    struct snapshot_item *interrupt = add(&snapshot->interrupts, id, event->timestamp);
    if (interrupt)
        keep_detail(snapshot, &interrupt->body, event->data, limit);
}

/* The latest stands for those before it. */
static void fold_status(struct snapshot *snapshot, const struct event *event)
{
    struct span value = json_member_value(event->data, "status");
    struct span status = json_member_inside(value);
    if (value.len == 0)
        return;
    size_t len = status.len <= SNAPSHOT_STATUS_MAX ? status.len : 0;
    while (len < status.len && len + character(status, len) <= SNAPSHOT_STATUS_MAX)
        len += character(status, len);
    snapshot->has_status = true;
    buffer_clear(&snapshot->status);
    buffer_append(&snapshot->status, status.data, len);
}

void snapshot_fold(struct snapshot *snapshot, const struct event *event, size_t limit)
{
    switch (event->type) {
    case EVENT_AGENT_STARTED: snapshot->started_ms = event->timestamp; break;
    case EVENT_AGENT_THINKING: fold_status(snapshot, event); break;
    case EVENT_TOOL_EXECUTING: begin_tool(snapshot, event, limit); break;
    case EVENT_TOOL_COMPLETED: end_item(snapshot, &snapshot->tools, event->tool_call_id); break;
    case EVENT_PARTIAL_RESULT:
        if (event->tool_call_id.len == 0)
            fold_text(snapshot, event);
        break;
    case EVENT_INTERRUPT_REQUESTED: begin_interrupt(snapshot, event, limit); break;
    case EVENT_INTERRUPT_RESOLVED:
        end_item(snapshot, &snapshot->interrupts, interrupt_of(event));
        break;
    default: break;
    }
    make_room(snapshot, limit);
}

void snapshot_fetch(const struct snapshot *snapshot)
{
    __builtin_prefetch(snapshot->current);
}

void snapshot_fetch_text(const struct snapshot *snapshot)
{
    if (snapshot->current)
        __builtin_prefetch(snapshot->current->text.at, 1);
}

size_t snapshot_bytes(const struct snapshot *snapshot)
{
    return snapshot->text_bytes + snapshot->detail_bytes;
}

/* ---- as JSON */

static void append_quoted(struct buffer *out, const char *name, struct span escaped)
{
    json_append_name(out, name);
    buffer_append_char(out, '"');
    buffer_append_span(out, escaped);
    buffer_append_char(out, '"');
}

static void append_tool(struct buffer *out, const struct snapshot_item *tool)
{
    buffer_append_char(out, '{');
    json_append_member(out, "tool_call_id", span_of_string(tool->id));
    if (tool->body.len)
        json_append_member_raw(out, "tool_name", buffer_span(&tool->body));
    if (tool->args.len)
        json_append_member_raw(out, "args", buffer_span(&tool->args));
    json_append_member_uint(out, "started_at", tool->since_ms);
    buffer_append_char(out, '}');
}

static void append_text(struct buffer *out, const struct snapshot_item *text)
{
    buffer_append_char(out, '{');
    json_append_member(out, "message_id", span_of_string(text->id));
    json_append_name(out, "text");
    buffer_append_char(out, '"');
    pieces_copy(out, &text->text);
    buffer_append_char(out, '"');
    if (text->missing)
        json_append_member_uint(out, "missing", text->missing);
    if (text->final)
        json_append_member_bool(out, "final", true);
    if (text->truncated)
        json_append_member_bool(out, "truncated", true);
    buffer_append_char(out, '}');
}

/* As it was asked, or at least which one. */
static void append_interrupt(struct buffer *out, const struct snapshot_item *interrupt)
{
    if (interrupt->body.len) {
        buffer_append_span(out, buffer_span(&interrupt->body));
        return;
    }
    buffer_append_char(out, '{');
    if (identifier_valid(span_of_string(interrupt->id)))
        json_append_member(out, "interrupt_id", span_of_string(interrupt->id));
    buffer_append_char(out, '}');
}

static void append_list(struct buffer *out, const char *name, const struct snapshot_list *list,
    void (*append)(struct buffer *out, const struct snapshot_item *item))
{
    json_append_name(out, name);
    buffer_append_char(out, '[');
    bool first = true;
    LIST_FOR_EACH(struct snapshot_item, item, &list->items, link)
    {
        if (!first)
            buffer_append_char(out, ',');
        first = false;
        append(out, item);
    }
    buffer_append_char(out, ']');
}

void snapshot_append(struct buffer *out, const struct snapshot *snapshot)
{
    uint64_t omitted = snapshot->gone + snapshot->texts.left_out + snapshot->tools.left_out +
                       snapshot->interrupts.left_out;
    if (snapshot->started_ms)
        json_append_member_uint(out, "started_at", snapshot->started_ms);
    if (snapshot->has_status)
        append_quoted(out, "status", buffer_span(&snapshot->status));
    append_list(out, "tools", &snapshot->tools, append_tool);
    append_list(out, "texts", &snapshot->texts, append_text);
    append_list(out, "interrupts", &snapshot->interrupts, append_interrupt);
    if (omitted)
        json_append_member_uint(out, "omitted", omitted);
}
