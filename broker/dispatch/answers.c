/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/dispatch.h"

#include <stdlib.h>

struct waiting_answer {
    struct list_link link; /* in answers.waiting */
    uint64_t answer;
    uint64_t worker_serial; /* of the links, as the next */
    uint64_t client_serial;
    uint64_t request;
};

struct verdict_text {
    const char *code;
    const char *message;
    bool retryable;
};

static const struct verdict_text NOT_FOUND = {
    "run_not_found", "no run of yours asks under this interrupt_id", false};
static const struct verdict_text NOT_ASKED = {
    "invalid_argument", "the run asks nothing under this interrupt_id", false};
static const struct verdict_text AMBIGUOUS = {
    "invalid_argument", "several runs ask under this interrupt_id: name the run_id as well", false};
static const struct verdict_text RESOLVED = {
    "already_resolved", "it was answered already, or has expired", false};
static const struct verdict_text FINISHED = {"already_finished", "the run has ended", false};
static const struct verdict_text CANCELLING = {
    "already_finished", "the run is being cancelled", false};
static const struct verdict_text UNREACHABLE = {
    "unavailable", "the run's worker cannot be reached now; try again", true};
static const struct verdict_text OWN_RUN = {
    "unavailable", "the run is a program's own, which takes no answers", false};
static const struct verdict_text BUSY = {
    "queue_full", "too many answers are under way; try again", true};
static const struct verdict_text MALFORMED = {
    "invalid_argument", "interrupt_id or status is none", false};

void answers_init(struct answers *answers, struct dispatch *dispatch)
{
    *answers = (struct answers){.dispatch = dispatch};
    list_init(&answers->waiting);
}

static void forget(struct answers *answers, struct waiting_answer *waiting)
{
    list_remove(&waiting->link);
    answers->count--;
    free(waiting);
}

void answers_deinit(struct answers *answers)
{
    if (!answers->waiting.next)
        return; /* never made */
    LIST_FOR_EACH(struct waiting_answer, waiting, &answers->waiting, link)
    forget(answers, waiting);
}

/* ---- replies */

static void refuse(struct answers *answers, const struct link *link, uint64_t request,
    const struct verdict_text *verdict)
{
    const struct wire_reply reply = {.request = request,
        .code = span_of_string(verdict->code),
        .message = span_of_string(verdict->message),
        .retryable = verdict->retryable};
    effects_add_reply(answers->dispatch->effects, link, &reply);
}

static void finish(
    struct answers *answers, struct waiting_answer *waiting, const struct wire_reply *what)
{
    struct wire_reply reply = *what;
    struct effects *effects = answers->dispatch->effects;
    const struct link *link = links_find(effects->links, waiting->client_serial);
    reply.request = waiting->request;
    if (link)
        effects_add_reply(effects, link, &reply);
    forget(answers, waiting);
}

/* ---- which run is meant */

static const struct verdict_text *fate_of(
    struct answers *answers, const struct user *user, struct span interrupt_id)
{
    switch (
        interrupt_past_find(&answers->dispatch->pipeline->interrupts, user->tag, interrupt_id)) {
    case INTERRUPT_RESOLVED: return &RESOLVED;
    case INTERRUPT_LEFT: return &FINISHED;
    case INTERRUPT_UNKNOWN: break;
    }
    return NULL;
}

static bool asks(const struct run *run, struct span interrupt_id)
{
    return run_find_open(run, GRAMMAR_INTERRUPT, interrupt_id) != NULL;
}

static bool asked(const struct run *run, struct span interrupt_id)
{
    return grammar_past_has(&run->grammar.past, GRAMMAR_INTERRUPT, interrupt_id);
}

static bool was_the_users(struct answers *answers, const struct user *user, struct span run_id)
{
    struct buffer record = BUFFER_INIT;
    struct span user_id;
    enum run_state state;
    bool was = history_find_run(answers->dispatch->users->history, run_id, &record) == 0 &&
               run_peek(buffer_span(&record), &user_id, &state) == 0 && span_is(user_id, user->id);
    buffer_deinit(&record);
    return was;
}

static const struct verdict_text *find_named(struct run **ret_run, struct answers *answers,
    struct user *user, const struct wire_interrupt_respond *request)
{
    struct run *run = pipeline_find(answers->dispatch->pipeline, request->run_id);
    if (!run && was_the_users(answers, user, request->run_id)) {
        const struct verdict_text *fate = fate_of(answers, user, request->interrupt_id);
        return fate ? fate : &FINISHED;
    }
    if (!run || run->user != user)
        return &NOT_FOUND;
    *ret_run = run;
    if (asks(run, request->interrupt_id))
        return NULL;
    return asked(run, request->interrupt_id) ? &RESOLVED : &NOT_ASKED;
}

static const struct verdict_text *find_any(struct run **ret_run, struct answers *answers,
    struct user *user, const struct wire_interrupt_respond *request)
{
    bool past = false;
    *ret_run = NULL;
    LIST_FOR_EACH(struct run, run, &user->runs, user_link)
    {
        past = past || asked(run, request->interrupt_id);
        if (!asks(run, request->interrupt_id))
            continue;
        if (*ret_run)
            return &AMBIGUOUS;
        *ret_run = run;
    }
    if (*ret_run)
        return NULL;
    const struct verdict_text *fate = fate_of(answers, user, request->interrupt_id);
    return fate ? fate : past ? &RESOLVED : &NOT_FOUND;
}

static bool is_well_formed(const struct wire_interrupt_respond *request)
{
    return identifier_valid(request->interrupt_id) &&
           (span_is(request->status, "resolved") || span_is(request->status, "cancelled"));
}

/* NULL, and the run and its worker, when the answer may be passed on. */
static const struct verdict_text *find_target(struct run **ret_run, struct worker **ret_worker,
    struct answers *answers, const struct wire_interrupt_respond *request)
{
    struct user *user = users_get(answers->dispatch->users, request->user);
    if (!user || !is_well_formed(request))
        return &MALFORMED;
    const struct verdict_text *verdict = request->run_id.len
                                             ? find_named(ret_run, answers, user, request)
                                             : find_any(ret_run, answers, user, request);
    if (verdict)
        return verdict;
    const struct run *run = *ret_run;
    if (run->state == RUN_CANCELLING)
        return &CANCELLING;
    if (!run->dispatched)
        return &OWN_RUN;
    *ret_worker = workers_find(answers->dispatch->workers, run->process, run->incarnation);
    return *ret_worker ? NULL : &UNREACHABLE;
}

/* ---- the way of an answer */

static bool await(
    struct answers *answers, const struct link *link, uint64_t request, const struct worker *worker)
{
    struct waiting_answer *waiting =
        answers->count < ANSWERS_WAITING_MAX ? malloc(sizeof(*waiting)) : NULL;
    if (!waiting)
        return false;
    *waiting = (struct waiting_answer){.answer = ++answers->last,
        .worker_serial = worker->link->serial,
        .client_serial = link->serial,
        .request = request};
    list_append(&answers->waiting, &waiting->link);
    answers->count++;
    return true;
}

void answers_respond(
    struct answers *answers, const struct link *link, const struct wire_interrupt_respond *request)
{
    struct run *run = NULL;
    struct worker *worker = NULL;
    const struct verdict_text *verdict = find_target(&run, &worker, answers, request);
    if (!verdict && !await(answers, link, request->request, worker))
        verdict = &BUSY;
    if (verdict) {
        answers->dispatch->counters->answers_refused++;
        refuse(answers, link, request->request, verdict);
        return;
    }
    const struct wire_message message = {.kind = WIRE_RESOLVE,
        .resolve = {.answer = answers->last,
            .run_id = span_of_string(run->id),
            .interrupt_id = request->interrupt_id,
            .status = request->status,
            .payload = request->payload}};
    answers->dispatch->counters->answers_passed_on++;
    link_send(worker->link, &message);
}

void answers_resolved(
    struct answers *answers, const struct worker *worker, const struct wire_resolved *message)
{
    struct wire_reply reply = {.code = message->code, .message = message->message};
    if (!message->code.len)
        reply.result = SPAN_LITERAL("{\"ok\":true}");
    else if (!identifier_valid(message->code))
        reply.code = SPAN_LITERAL("internal");
    LIST_FOR_EACH(struct waiting_answer, waiting, &answers->waiting, link)
    {
        if (waiting->answer == message->answer && waiting->worker_serial == worker->link->serial) {
            finish(answers, waiting, &reply);
            return;
        }
    }
}

void answers_worker_gone(struct answers *answers, const struct worker *worker)
{
    const struct wire_reply reply = {.code = span_of_string(UNREACHABLE.code),
        .message = span_of_string(UNREACHABLE.message),
        .retryable = true};
    LIST_FOR_EACH(struct waiting_answer, waiting, &answers->waiting, link)
    {
        if (waiting->worker_serial == worker->link->serial)
            finish(answers, waiting, &reply);
    }
}
