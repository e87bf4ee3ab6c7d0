/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/interrupts.h"

#include "json/view.h"

#include "base/clock.h"

#include <stdlib.h>

#define ENDED_CODE "already_finished"
#define ENDED_MESSAGE "the run has ended, or is being cancelled"

/* OPEN until `status` says how it was answered; then to be emitted, and told. */
struct question {
    struct list_link link; /* in interrupts.asked */
    struct interrupts *interrupts;
    ev_timer expiry;
    char interrupt_id[IDENTIFIER_SIZE];
    const char *status;                  /* static; NULL: nobody has answered */
    struct buffer payload;               /* JSON, NUL-terminated; or empty */
    uint64_t answer;                     /* whose it is; 0: nobody's */
    const struct interrupt_asker *asker; /* or NULL */
    struct span id;                      /* of the agent's request, if it asks; behind the struct */
    char id_bytes[];
};

static void question_free(struct question *question)
{
    struct interrupts *interrupts = question->interrupts;
    ev_timer_stop(interrupts->loop, &question->expiry);
    list_remove(&question->link);
    interrupts->count--;
    buffer_deinit(&question->payload);
    free(question);
}

static struct question *find(const struct interrupts *interrupts, struct span interrupt_id)
{
    LIST_FOR_EACH(struct question, question, &interrupts->asked, link)
    {
        if (span_is(interrupt_id, question->interrupt_id))
            return question;
    }
    return NULL;
}

/* ---- what is over */

static void settle(struct question *question, const char *code, const char *message)
{
    const struct interrupts *interrupts = question->interrupts;
    if (question->answer)
        interrupts->events->on_settled(interrupts->context, question->answer, code, message);
    question->answer = 0;
}

static void answer_asker(const struct question *question)
{
    const struct interrupts *interrupts = question->interrupts;
    const struct agent_interrupt_result result = {
        .interrupt_id = question->interrupt_id,
        .status = question->status,
        .payload = question->payload.len
                       ? span_of(question->payload.data, question->payload.len - 1)
                       : SPAN_EMPTY,
    };
    if (question->asker)
        question->asker->on_answer(question->asker->context, &result);
    else if (question->id.len)
        interrupts->events->on_answer(interrupts->context, question->id, &result);
}

/* An answer that no event can carry is refused, and the question stays open. */
static bool reopen(struct question *question, int rc)
{
    bool big = rc == RS_E_TOO_BIG;
    if (!question->answer || (!big && rc != RS_E_INVALID))
        return false;
    settle(question, big ? "payload_too_large" : "invalid_argument",
        big ? "the payload is larger than an event may be" : "the payload cannot be sent on");
    question->status = NULL;
    buffer_clear(&question->payload);
    return true;
}

static int emit_end(struct question *question)
{
    if (buffer_error(&question->payload))
        return RS_E_NO_MEMORY;
    return rs_interrupt_resolved(question->interrupts->run, question->interrupt_id,
        question->status, question->payload.len ? question->payload.data : NULL);
}

/* Telling may end the run, and that takes all questions: this one is out of the list by then. */
static void tell(struct question *question, const char *code, const char *message)
{
    list_remove(&question->link);
    settle(question, code, message);
    answer_asker(question);
    question_free(question);
}

static struct question *first_over(const struct interrupts *interrupts)
{
    LIST_FOR_EACH(struct question, question, &interrupts->asked, link)
    {
        if (question->status)
            return question;
    }
    return NULL;
}

int interrupts_report(struct interrupts *interrupts)
{
    struct question *question;
    while ((question = first_over(interrupts))) {
        int rc = emit_end(question);
        if (rc == RS_OK)
            tell(question, "", "");
        else if (!reopen(question, rc))
            return rc;
    }
    return RS_OK;
}

static void report_or_stick(struct interrupts *interrupts)
{
    int rc = interrupts_report(interrupts);
    if (rc != RS_OK)
        interrupts->events->on_stuck(interrupts->context, rc);
}

static void on_expiry(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct question *question = watcher->data;
    if (question->status)
        return; /* answered in time, and on its way */
    question->status = "expired";
    report_or_stick(question->interrupts);
}

void interrupts_resolve(struct interrupts *interrupts, const struct interrupt_answer *answer)
{
    struct question *question = find(interrupts, answer->interrupt_id);
    if (!question || question->status) {
        interrupts->events->on_settled(interrupts->context, answer->number, "already_resolved",
            "it was answered already, or has expired");
        return;
    }
    question->status = span_is(answer->status, "cancelled") ? "cancelled" : "resolved";
    question->answer = answer->number;
    if (answer->payload.len) {
        json_append_one_line(&question->payload, answer->payload);
        buffer_append_char(&question->payload, '\0');
    }
    report_or_stick(interrupts);
}

/* ---- asking */

static void start_expiry(struct question *question, uint64_t expires_at)
{
    uint64_t now = clock_wall_ms();
    double seconds = expires_at > now ? (double)(expires_at - now) / 1000. : 0.;
    if (!expires_at)
        return;
    ev_timer_set(&question->expiry, seconds, 0.);
    ev_timer_start(question->interrupts->loop, &question->expiry);
}

static struct question *question_new(
    struct interrupts *interrupts, const struct agent_interrupt *wanted, struct span id)
{
    struct question *question = calloc(1, sizeof(*question) + id.len);
    if (!question)
        return NULL;
    memcpy(question->id_bytes, id.len ? id.data : "", id.len);
    question->id = span_of(question->id_bytes, id.len);
    question->interrupts = interrupts;
    ev_init(&question->expiry, on_expiry);
    question->expiry.data = question;
    memcpy(question->interrupt_id, wanted->interrupt_id, sizeof(question->interrupt_id));
    if (!question->interrupt_id[0])
        identifier_make(question->interrupt_id, "i-");
    list_append(&interrupts->asked, &question->link);
    interrupts->count++;
    return question;
}

/* interrupt_requested, which is what accepts a question. */
static int emit_request(const struct question *question, const struct agent_interrupt *wanted)
{
    struct buffer reason = BUFFER_INIT;
    struct buffer payload = BUFFER_INIT;
    int rc = json_string(&reason, wanted->reason) ? RS_OK : RS_E_INVALID;
    buffer_append_char(&reason, '\0');
    json_append_one_line(&payload, wanted->payload);
    buffer_append_char(&payload, '\0');
    if (buffer_error(&reason) || buffer_error(&payload))
        rc = RS_E_NO_MEMORY;
    if (rc == RS_OK)
        rc = rs_interrupt_request(question->interrupts->run, question->interrupt_id, reason.data,
            wanted->payload.len ? payload.data : NULL, wanted->expires_at);
    buffer_deinit(&reason);
    buffer_deinit(&payload);
    return rc;
}

static int ask(struct interrupts *interrupts, const struct agent_interrupt *wanted, struct span id,
    const struct interrupt_asker *asker)
{
    if (interrupts->count >= INTERRUPTS_MAX)
        return INTERRUPTS_E_BUSY;
    struct question *question = question_new(interrupts, wanted, id);
    if (!question)
        return RS_E_NO_MEMORY;
    question->asker = asker;
    int rc = emit_request(question, wanted);
    if (rc == RS_OK)
        start_expiry(question, wanted->expires_at);
    else
        question_free(question);
    return rc;
}

int interrupts_ask(
    struct interrupts *interrupts, const struct agent_interrupt *wanted, struct span id)
{
    return ask(interrupts, wanted, id, NULL);
}

int interrupts_ask_for(struct interrupts *interrupts, const struct agent_interrupt *wanted,
    const struct interrupt_asker *asker)
{
    return ask(interrupts, wanted, SPAN_EMPTY, asker);
}

void interrupts_forget(struct interrupts *interrupts, const struct interrupt_asker *asker)
{
    LIST_FOR_EACH(struct question, question, &interrupts->asked, link)
    {
        if (question->asker == asker)
            question->asker = NULL;
    }
}

/* ---- life */

void interrupts_cancel(struct interrupts *interrupts)
{
    struct question *question;
    while ((question = LIST_FIRST(struct question, &interrupts->asked, link))) {
        question->status = "cancelled";
        buffer_clear(&question->payload);
        tell(question, ENDED_CODE, ENDED_MESSAGE);
    }
}

void interrupts_abandon(struct interrupts *interrupts)
{
    LIST_FOR_EACH(struct question, question, &interrupts->asked, link)
    {
        settle(question, ENDED_CODE, ENDED_MESSAGE);
        question_free(question);
    }
}

bool interrupts_busy(const struct interrupts *interrupts)
{
    return interrupts->count > 0;
}

void interrupts_init(struct interrupts *interrupts, struct ev_loop *loop, rs_run *run,
    const struct interrupts_events *events, void *context)
{
    *interrupts =
        (struct interrupts){.loop = loop, .run = run, .events = events, .context = context};
    list_init(&interrupts->asked);
}

void interrupts_deinit(struct interrupts *interrupts)
{
    LIST_FOR_EACH(struct question, question, &interrupts->asked, link)
    question_free(question);
}
