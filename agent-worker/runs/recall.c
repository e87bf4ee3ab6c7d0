/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was said before a run, when its agent asks: one page of the user's events after the other,
 * and then the answer. The broker answers from what is kept, so a question that was lost with a
 * link is simply asked again.
 */
#include "runs/engine_state.h"

#include "base/log.h"

void recall_deinit(struct engine *engine)
{
    thread_history_deinit(&engine->recall.history);
    buffer_deinit(&engine->recall.id);
}

static bool is_open(const struct engine *engine)
{
    return engine->recall.id.len > 0;
}

void engine_recall_again(struct engine *engine)
{
    const struct thread_history *history = &engine->recall.history;
    if (is_open(engine))
        engine->options.events->on_recall(
            engine->options.context, engine, history->known, history->at);
}

bool recall_begin(struct engine *engine, struct span id, uint64_t limit)
{
    if (is_open(engine))
        return false;
    thread_history_init(&engine->recall.history, engine->thread_id, engine->message_id, limit);
    buffer_append_span(&engine->recall.id, id);
    engine_recall_again(engine);
    return true;
}

/* The answer; `rc` is why there is none. */
static void answer(struct engine *engine, int rc)
{
    struct buffer result = BUFFER_INIT;
    struct span id = buffer_span(&engine->recall.id);
    buffer_append_string(&result, "{\"messages\":");
    if (!rc)
        thread_history_append(&result, &engine->recall.history);
    buffer_append_char(&result, '}');
    if (!rc && !buffer_error(&result))
        rpc_append_result(&engine->scratch, id, buffer_span(&result));
    else
        rpc_append_error(&engine->scratch, id, RPC_E_REFUSED,
            SPAN_LITERAL("what was said before cannot be read"));
    buffer_deinit(&result);
    recall_deinit(engine);
    engine_send_scratch(engine);
}

void engine_recall_take(struct engine *engine, const struct thread_page *page)
{
    struct thread_history *history = &engine->recall.history;
    if (!is_open(engine) || engine_is_over(engine))
        return;
    int rc = thread_history_take(history, page);
    if (rc)
        log_error("recall", "run %s: the broker's history makes no sense: %s", engine->run_id,
            strerror(-rc));
    if (rc || history->done)
        answer(engine, rc);
    else
        engine_recall_again(engine);
}
