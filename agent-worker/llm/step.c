/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/step.h"

#include "base/clock.h"
#include "base/identifier.h"

#include <errno.h>
#include <stdio.h>

#define LINGER_MS 1000
#define DETAIL_MAX 400

void llm_step_deinit(struct llm_step *step)
{
    llm_transfer_stop(&step->transfer);
    llm_stream_deinit(&step->stream);
    llm_turn_deinit(&step->turn);
    buffer_deinit(&step->request);
    buffer_deinit(&step->detail);
}

void llm_step_abort(struct llm_step *step)
{
    llm_transfer_stop(&step->transfer);
    step->state = LLM_STEP_IDLE;
}

/* ---- the answer */

/* Between characters: it becomes part of an event. */
static struct span cut(struct span text)
{
    size_t len = text.len < DETAIL_MAX ? text.len : DETAIL_MAX;
    while (len && len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--;
    return span_of(text.data, len);
}

/* The first thing that is wrong counts. */
static bool spoil(struct llm_step *step, enum llm_failure failure, struct span detail)
{
    if (step->failure == LLM_OK) {
        step->failure = failure;
        buffer_clear(&step->detail);
        buffer_append_span(&step->detail, cut(detail));
    }
    return false;
}

static bool take_error(struct llm_step *step, struct span value)
{
    struct llm_server_error error;
    llm_server_error_parse(&error, value);
    enum llm_failure failure =
        error.status || error.no_quota
            ? llm_failure_of_status(error.status ? error.status : 429, error.no_quota)
            : LLM_UNAVAILABLE;
    spoil(step, failure, buffer_span(&error.message));
    buffer_deinit(&error.message);
    return false;
}

static bool take_data(struct llm_step *step, struct span data)
{
    struct llm_chunk chunk;
    const char *reason = "";
    uint64_t now = clock_monotonic_ms();
    int rc = llm_chunk_parse(&chunk, data, &reason);
    if (!rc && chunk.error.len)
        return take_error(step, chunk.error);
    if (!rc)
        rc = llm_turn_add(&step->turn, &chunk, &reason);
    if (rc)
        return spoil(
            step, LLM_BAD_RESPONSE, span_of_string(rc == -ENOMEM ? "memory is out" : reason));
    llm_shown_add(step->shown, true, buffer_span(&step->turn.thoughts), now);
    llm_shown_add(step->shown, false, buffer_span(&step->turn.news), now);
    return true;
}

static bool take_all(struct llm_step *step)
{
    for (;;) {
        struct span data;
        switch (llm_stream_next(&step->stream, &data)) {
        case LLM_STREAM_MORE:
        case LLM_STREAM_DONE: return true;
        case LLM_STREAM_TOO_LARGE:
            return spoil(step, LLM_BAD_RESPONSE, SPAN_LITERAL("an event is larger than 1 MiB"));
        case LLM_STREAM_NO_MEMORY:
            return spoil(step, LLM_BAD_RESPONSE, SPAN_LITERAL("memory is out"));
        case LLM_STREAM_DATA:
            if (!take_data(step, data))
                return false;
        }
    }
}

static bool take_bytes(void *context, struct span bytes)
{
    struct llm_step *step = context;
    if (step->stream.done)
        return true;
    llm_stream_feed(&step->stream, bytes);
    return take_all(step);
}

static bool has_room(void *context)
{
    const struct llm_step *step = context;
    return !llm_line_is_full(step->shown->line);
}

/* ---- asking */

static void fail(struct llm_step *step, enum llm_failure failure)
{
    step->failure = failure;
    step->state = LLM_STEP_FAILED;
}

static const struct llm_provider *provider_of(const struct llm_step *step)
{
    return &step->settings->providers[step->attempts.provider];
}

static void settle_setback(
    struct llm_step *step, enum llm_failure failure, uint64_t retry_after_ms, uint64_t now);

static void ask(struct llm_step *step, uint64_t now)
{
    const struct llm_transfer_options options = {.multi = step->multi,
        .settings = step->settings,
        .provider = provider_of(step),
        .body = buffer_span(&step->request),
        .take = take_bytes,
        .has_room = has_room,
        .context = step};
    step->failure = LLM_OK;
    llm_stream_reset(&step->stream);
    llm_turn_reset(&step->turn);
    step->state = LLM_STEP_ASKING;
    int rc = buffer_error(&step->request);
    if (!rc)
        rc = llm_transfer_start(&step->transfer, &options, now);
    if (!rc)
        return;
    bool key = rc != -ENOMEM;
    spoil(step, key ? LLM_UNAUTHORIZED : LLM_UNAVAILABLE,
        span_of_string(key ? "its key cannot be read" : "memory is out"));
    settle_setback(step, step->failure, 0, now);
}

static void write_request(struct llm_step *step)
{
    buffer_clear(&step->request);
    llm_request_append(
        &step->request, step->settings, provider_of(step), step->tools, step->messages);
}

void llm_step_begin(struct llm_step *step, struct span messages, uint64_t now)
{
    llm_transfer_stop(&step->transfer); /* it may still have the last request */
    step->messages = messages;
    step->attempts.tried = 0;
    llm_shown_begin(step->shown);
    write_request(step);
    ask(step, now);
}

/* ---- setbacks */

static void say_setback(
    const struct llm_step *step, size_t provider, enum llm_failure failure, const char *consequence)
{
    fprintf(stderr, "providers[%zu], %s: %s (%.*s): %s\n", provider,
        step->settings->providers[provider].url, llm_failure_kind(failure)->code,
        SPAN_ARG(buffer_span(&step->detail)), consequence);
}

static void say_waiting(
    const struct llm_step *step, size_t provider, enum llm_failure failure, uint64_t wait_ms)
{
    char text[160], consequence[64];
    bool other = step->attempts.provider != provider;
    if (other)
        snprintf(consequence, sizeof(consequence), "asking another one");
    else
        snprintf(consequence, sizeof(consequence), "asking again in %llu ms",
            (unsigned long long)wait_ms);
    say_setback(step, provider, failure, consequence);
    snprintf(text, sizeof(text), "%s: %s", llm_failure_kind(failure)->text, consequence);
    llm_shown_status(step->shown, text);
}

static void settle_setback(
    struct llm_step *step, enum llm_failure failure, uint64_t retry_after_ms, uint64_t now)
{
    struct llm_setback setback = {
        .failure = failure, .shown = step->shown->any, .retry_after_ms = retry_after_ms};
    const struct llm_retry_policy policy = {.retries = step->settings->retries,
        .wait_ms = step->settings->retry_wait_ms,
        .max_wait_ms = step->settings->max_wait_ms,
        .providers = step->settings->provider_count};
    size_t before = step->attempts.provider;
    uint64_t wait_ms;
    random_bytes(&setback.chance, sizeof(setback.chance));
    llm_transfer_stop(&step->transfer);
    if (!llm_retry_decide(&step->attempts, &policy, &setback, &wait_ms)) {
        say_setback(step, before, failure, "the run fails");
        fail(step, failure);
        return;
    }
    say_waiting(step, before, failure, wait_ms);
    if (step->attempts.provider != before)
        write_request(step);
    step->wake_ms = now + wait_ms;
    step->state = LLM_STEP_WAITING;
}

/* A half answer that was shown is told apart from one that nobody saw. */
static enum llm_failure as_shown(const struct llm_step *step, enum llm_failure failure)
{
    bool broken = step->shown->any && failure != LLM_TIMEOUT && failure != LLM_BAD_RESPONSE;
    return broken ? LLM_STREAM_BROKEN : failure;
}

/* ---- the end of an answer */

/* Whether it is whole; some servers close instead of saying [DONE]. */
static bool is_whole(const struct llm_step *step)
{
    const struct llm_turn *turn = &step->turn;
    return turn->finish != LLM_FINISH_NONE ||
           (step->stream.done && (turn->text.len || turn->call_count));
}

static enum llm_failure verdict(const struct llm_turn *turn)
{
    if (turn->refused)
        return LLM_REFUSED;
    if (turn->finish == LLM_FINISH_LENGTH)
        return LLM_LENGTH;
    return turn->finish == LLM_FINISH_CONTENT_FILTER ? LLM_CONTENT_FILTER : LLM_OK;
}

static void conclude(struct llm_step *step, uint64_t now)
{
    enum llm_failure failure = verdict(&step->turn);
    step->answered_ms = now;
    step->state = LLM_STEP_ANSWERED;
    if (failure)
        fail(step, failure);
}

static void settle_end(struct llm_step *step, const struct llm_outcome *outcome, uint64_t now)
{
    if (outcome->failure == LLM_OK)
        llm_stream_close(&step->stream);
    if (step->failure == LLM_OK && outcome->failure == LLM_OK)
        (void)take_all(step);
    if (step->failure == LLM_OK && is_whole(step)) {
        llm_transfer_stop(&step->transfer);
        conclude(step, now);
        return;
    }
    enum llm_failure failure = step->failure ? step->failure : outcome->failure;
    if (!step->failure)
        spoil(step, failure, buffer_span(&outcome->detail));
    if (!failure) {
        failure = LLM_UNAVAILABLE;
        spoil(step, failure, SPAN_LITERAL("the answer ended before it was whole"));
    }
    settle_setback(step, as_shown(step, failure), outcome->retry_after_ms, now);
}

static void look(struct llm_step *step, uint64_t now)
{
    struct llm_outcome outcome;
    if (llm_transfer_ended(&step->transfer, &outcome, now))
        settle_end(step, &outcome, now);
    else if (step->stream.done && step->failure == LLM_OK && is_whole(step))
        conclude(step, now);
    else if (has_room(step))
        llm_transfer_resume(&step->transfer, now);
    buffer_deinit(&outcome.detail);
}

static bool lingers(const struct llm_step *step)
{
    return step->transfer.easy && step->state != LLM_STEP_ASKING;
}

static void linger(struct llm_step *step, uint64_t now)
{
    struct llm_outcome outcome;
    if (llm_transfer_ended(&step->transfer, &outcome, now) || now - step->answered_ms >= LINGER_MS)
        llm_transfer_stop(&step->transfer);
    buffer_deinit(&outcome.detail);
}

enum llm_step_state llm_step_go(struct llm_step *step, uint64_t now)
{
    if (lingers(step))
        linger(step, now);
    if (step->state == LLM_STEP_WAITING && now >= step->wake_ms)
        ask(step, now);
    else if (step->state == LLM_STEP_ASKING)
        look(step, now);
    return step->state;
}

uint64_t llm_step_due(const struct llm_step *step)
{
    switch (step->state) {
    case LLM_STEP_WAITING: return step->wake_ms;
    case LLM_STEP_ASKING: return llm_transfer_due(&step->transfer);
    default: return lingers(step) ? step->answered_ms + LINGER_MS : UINT64_MAX;
    }
}
