/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/thread_history.h"

#include "json/view.h"

#include "base/json.h"
#include "base/json_member.h"
#include "event/codec.h"

#include <errno.h>
#include <stdlib.h>

#define EVENTS_A_MESSAGE 128

void thread_history_init(
    struct thread_history *history, const char *thread_id, const char *message_id, uint64_t limit)
{
    *history = (struct thread_history){.limit = limit};
    memcpy(history->thread_id, thread_id, strlen(thread_id) + 1);
    memcpy(history->message_id, message_id, strlen(message_id) + 1);
}

void thread_history_deinit(struct thread_history *history)
{
    buffer_deinit(&history->kept);
}

/* ---- reading */

static void begin_at(struct thread_history *history, uint64_t after)
{
    history->at = after;
    history->read = 0;
    history->kept.len = 0;
    history->done = history->at >= history->end;
}

static void begin(struct thread_history *history, const struct thread_page *page)
{
    uint64_t window = history->limit * EVENTS_A_MESSAGE;
    if (window < THREAD_HISTORY_EVENTS_MIN)
        window = THREAD_HISTORY_EVENTS_MIN;
    if (window > THREAD_HISTORY_EVENTS_MAX)
        window = THREAD_HISTORY_EVENTS_MAX;
    uint64_t oldest = page->oldest ? page->oldest - 1 : 0;
    uint64_t after = page->end > window ? page->end - window : 0;
    history->known = true;
    history->end = page->end;
    begin_at(history, after > oldest ? after : oldest);
}

static bool matters(const struct thread_history *history, const struct event *event)
{
    if (!span_is(event->thread_id, history->thread_id) || event->seq > history->end)
        return false;
    switch (event->type) {
    case EVENT_CHAT_MESSAGE:
    case EVENT_AGENT_STARTED: return true;
    case EVENT_PARTIAL_RESULT: return event->tool_call_id.len == 0;
    default: return event_is_terminal(event);
    }
}

static int keep(struct thread_history *history, struct span events)
{
    struct event event;
    size_t at = 0, before = 0;
    int rc;
    while ((rc = event_decode_next(&event, events, &at)) == 1) {
        if (matters(history, &event))
            buffer_append(&history->kept, events.data + before, at - before);
        before = at;
    }
    return rc ? rc : buffer_error(&history->kept);
}

int thread_history_take(struct thread_history *history, const struct thread_page *page)
{
    if (history->done || page->asked != history->known ||
        (history->known && page->after != history->at))
        return 0;
    if (!history->known) {
        begin(history, page);
        return 0;
    }
    if (page->trimmed || page->damaged) {
        uint64_t after = page->trimmed && page->oldest ? page->oldest - 1 : page->last;
        begin_at(history, after > history->at ? after : history->end);
        return 0;
    }
    int rc = keep(history, page->events);
    if (rc)
        return rc;
    history->read += page->events.len;
    history->done = page->last >= history->end || page->last <= history->at;
    history->at = page->last;
    if (!history->done && history->read > THREAD_HISTORY_BYTES_MAX)
        begin_at(history, history->end - (history->end - history->at) / 2);
    return 0;
}

/* ---- folding */

/* One run: what was asked, and what it showed. Spans point into the events. */
struct said {
    struct span run_id;
    struct span content;    /* JSON, of the user's message; empty when there was none */
    struct span message_id; /* whose text came last */
    struct buffer text;     /* as it stands in JSON */
    bool own;               /* of the message that the reading run was asked */
    bool ended;
};

struct folding {
    const struct thread_history *history;
    struct said *runs;
    size_t count;
    size_t cap;
    bool broken; /* memory is out */
};

static struct said *find(const struct folding *folding, struct span run_id)
{
    for (size_t i = folding->count; i > 0; i--) {
        if (span_equal(folding->runs[i - 1].run_id, run_id))
            return &folding->runs[i - 1];
    }
    return NULL;
}

static struct said *add(struct folding *folding, struct span run_id)
{
    if (folding->count == folding->cap) {
        size_t cap = folding->cap ? 2 * folding->cap : 32;
        struct said *runs = realloc(folding->runs, cap * sizeof(*runs));
        if (!runs) {
            folding->broken = true;
            return NULL;
        }
        folding->runs = runs;
        folding->cap = cap;
    }
    struct said *said = &folding->runs[folding->count++];
    *said = (struct said){.run_id = run_id};
    return said;
}

static void fold_question(struct said *said, const struct event *event, const char *own_message)
{
    said->content = json_member_value(event->data, "content");
    said->own = own_message[0] && span_is(event->message_id, own_message);
}

/* Two messages of a run are told apart by an empty line, in JSON's own writing. */
static void fold_text(struct said *said, const struct event *event)
{
    struct span piece = json_member_inside(json_member_value(event->data, "delta"));
    if (!piece.len)
        return;
    if (said->text.len && !span_equal(said->message_id, event->message_id))
        buffer_append_string(&said->text, "\\n\\n");
    said->message_id = event->message_id;
    buffer_append_span(&said->text, piece);
}

static void fold(struct folding *folding, const struct event *event)
{
    struct said *said = find(folding, event->run_id);
    bool begins = event->type == EVENT_CHAT_MESSAGE || event->type == EVENT_AGENT_STARTED;
    if (!said && begins)
        said = add(folding, event->run_id);
    if (!said)
        return;
    if (event->type == EVENT_CHAT_MESSAGE)
        fold_question(said, event, folding->history->message_id);
    else if (event->type == EVENT_PARTIAL_RESULT)
        fold_text(said, event);
    else if (event_is_terminal(event))
        said->ended = true;
}

/* ---- writing */

static size_t messages_of(const struct said *said)
{
    if (said->own)
        return 0;
    return (said->content.len > 0) + (said->ended && said->text.len > 0);
}

static void append(struct buffer *out, const char *role, struct span content)
{
    if (out->len && out->data[out->len - 1] != '[')
        buffer_append_char(out, ',');
    buffer_append_char(out, '{');
    json_append_member(out, "role", span_of_string(role));
    json_append_name(out, "content");
    json_append_one_line(out, content);
    buffer_append_char(out, '}');
}

/* `skip` of its messages are too many. */
static void append_said(struct buffer *out, struct said *said, size_t *skip)
{
    if (said->own)
        return;
    if (said->content.len) {
        if (*skip > 0)
            (*skip)--;
        else
            append(out, "user", said->content);
    }
    if (!said->ended || !said->text.len)
        return;
    if (*skip > 0) {
        (*skip)--;
        return;
    }
    struct buffer text = BUFFER_INIT;
    buffer_append_char(&text, '"');
    buffer_append_span(&text, buffer_span(&said->text));
    buffer_append_char(&text, '"');
    append(out, "assistant", buffer_span(&text));
    out->broken |= text.broken || said->text.broken;
    buffer_deinit(&text);
}

void thread_history_append(struct buffer *out, const struct thread_history *history)
{
    struct folding folding = {.history = history};
    struct event event;
    size_t total = 0;
    for (size_t at = 0; event_decode_next(&event, buffer_span(&history->kept), &at) == 1;)
        fold(&folding, &event);
    for (size_t i = 0; i < folding.count; i++)
        total += messages_of(&folding.runs[i]);
    size_t skip = total > history->limit ? total - (size_t)history->limit : 0;
    buffer_append_char(out, '[');
    for (size_t i = 0; i < folding.count; i++) {
        append_said(out, &folding.runs[i], &skip);
        buffer_deinit(&folding.runs[i].text);
    }
    buffer_append_char(out, ']');
    out->broken |= folding.broken;
    free(folding.runs);
}
