/* SPDX-License-Identifier: Apache-2.0 */
#include "event/grammar.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* What tells apart the steps that are events of one type. */
enum form {
    FORM_PLAIN,
    FORM_FINAL,      /* of a text, with the flag */
    FORM_OF_TOOL,    /* names a tool call */
    FORM_FATAL,      /* with the flag */
    FORM_BARE_FINAL, /* as FINAL, where there must be a text: who emits knows, who reads cannot */
    FORM_COUNT,
};

struct rule {
    unsigned before[2]; /* by author: enum grammar_state, or-ed */
    enum grammar_state after;
    enum grammar_set set;
    unsigned item_before; /* enum item_state, or-ed */
    unsigned item_after;
};

enum {
    NEVER = GRAMMAR_NEVER,
    NEW = GRAMMAR_NEW,
    RUNNING = GRAMMAR_RUNNING,
};

static const struct rule rules[STEP_COUNT] = {
#define STEP(symbol, event, form, agent, broker, after, set, item_before, item_after)              \
    [STEP_##symbol] = {{agent, broker}, GRAMMAR_##after, GRAMMAR_##set, item_before, item_after},
#include "event/grammar.def"
#undef STEP
};

static const uint8_t steps[EVENT_TYPE_COUNT][FORM_COUNT] = {
#define STEP(symbol, event, form, ...) [EVENT_##event][FORM_##form] = STEP_##symbol,
#include "event/grammar.def"
#undef STEP
};

static const char *const verdict_names[GRAMMAR_VERDICTS] = {
    [GRAMMAR_LEGAL] = "legal",
#define VERDICT(symbol, name) [GRAMMAR_##symbol] = #name,
#include "event/verdicts.def"
#undef VERDICT
    [GRAMMAR_LEFT_OPEN] = "left_open",
    [GRAMMAR_TEXT_NOT_OPEN] = "text_not_open",
};

/* Of each of the sets: begun again while open; none open. */
static const enum grammar_verdict already_open[GRAMMAR_SETS] = {
    [GRAMMAR_TEXT] = GRAMMAR_IDENTITY_USED,
    [GRAMMAR_TOOL] = GRAMMAR_TOOL_ALREADY_OPEN,
    [GRAMMAR_INTERRUPT] = GRAMMAR_ALREADY_WAITING,
};
static const enum grammar_verdict not_open[GRAMMAR_SETS] = {
    [GRAMMAR_TEXT] = GRAMMAR_TEXT_NOT_OPEN,
    [GRAMMAR_TOOL] = GRAMMAR_TOOL_NOT_OPEN,
    [GRAMMAR_INTERRUPT] = GRAMMAR_NOT_WAITING,
};

void grammar_init(struct grammar *grammar)
{
    *grammar = (struct grammar){.state = GRAMMAR_NEW};
    for (int set = 0; set < GRAMMAR_SETS; set++)
        list_init(&grammar->open[set]);
}

void grammar_deinit(struct grammar *grammar)
{
    for (int set = 0; set < GRAMMAR_SETS; set++) {
        size_t cursor = 0;
        for (void *item; (item = map_next(&grammar->items[set], &cursor));)
            free(item);
        map_deinit(&grammar->items[set]);
    }
    grammar_past_deinit(&grammar->past);
}

void grammar_join(struct grammar *grammar)
{
    grammar->state = GRAMMAR_RUNNING;
    grammar->joined = true;
}

const char *grammar_verdict_name(enum grammar_verdict verdict)
{
    return verdict_names[verdict];
}

enum grammar_set grammar_step_set(enum grammar_step step)
{
    return rules[step].set;
}

bool grammar_step_ends(enum grammar_step step)
{
    return rules[step].after == GRAMMAR_ENDED;
}

/* ---- from an event to its step */

static enum form form_of(const struct event *event)
{
    if (event->type == EVENT_PARTIAL_RESULT) {
        if (event->tool_call_id.len)
            return FORM_OF_TOOL;
        return event->flags & EVENT_FLAG_FINAL ? FORM_FINAL : FORM_PLAIN;
    }
    bool fatal = event->type == EVENT_ERROR_EVENT && event->flags & EVENT_FLAG_FATAL;
    return fatal ? FORM_FATAL : FORM_PLAIN;
}

enum grammar_step grammar_step_of(const struct event *event)
{
    return (enum grammar_step)steps[event->type][form_of(event)];
}

struct span grammar_id_of(
    enum grammar_step step, const struct event *event, struct span interrupt_id)
{
    switch (rules[step].set) {
    case GRAMMAR_TEXT: return event->message_id;
    case GRAMMAR_TOOL: return event->tool_call_id;
    case GRAMMAR_INTERRUPT: return interrupt_id;
    case GRAMMAR_NONE: break;
    }
    return SPAN_EMPTY;
}

/* ---- is it legal? */

static enum grammar_verdict check_state(
    const struct grammar *grammar, const struct rule *rule, enum grammar_author author)
{
    if (grammar->state == GRAMMAR_ENDED)
        return GRAMMAR_SEALED;
    if (rule->before[author] & grammar->state)
        return GRAMMAR_LEGAL;
    if (rule->before[author] == GRAMMAR_NEVER)
        return GRAMMAR_NOT_FOR_AGENTS;
    return grammar->state == GRAMMAR_NEW ? GRAMMAR_NOT_STARTED : GRAMMAR_STARTED_TWICE;
}

static unsigned state_of_unknown(
    const struct grammar *grammar, const struct rule *rule, struct span id)
{
    bool matters = grammar->joined || rule->item_before & ITEM_NEW;
    if (matters && grammar_past_has(&grammar->past, rule->set, id))
        return ITEM_CLOSED;
    return grammar->joined ? ITEM_NEW | ITEM_OPEN : ITEM_NEW;
}

static enum grammar_verdict check_item(struct grammar_item **ret_item,
    const struct grammar *grammar, const struct rule *rule, struct span id)
{
    if (id.len == 0)
        return GRAMMAR_NO_IDENTITY;
    struct grammar_item *item = grammar_find(grammar, rule->set, id);
    unsigned state = item ? item->state : state_of_unknown(grammar, rule, id);
    if (!(rule->item_before & state)) {
        if (!(rule->item_before & ITEM_NEW))
            return not_open[rule->set];
        return state & ITEM_OPEN ? already_open[rule->set] : GRAMMAR_IDENTITY_USED;
    }
    bool opens = rule->item_after == ITEM_OPEN && state & ITEM_NEW;
    if (opens && grammar->open_count[rule->set] >= GRAMMAR_OPEN_MAX)
        return GRAMMAR_TOO_MANY_OPEN;
    *ret_item = item;
    return GRAMMAR_LEGAL;
}

static enum grammar_verdict check(struct grammar_item **ret_item, const struct grammar *grammar,
    enum grammar_step step, struct span id, enum grammar_author author)
{
    const struct rule *rule = &rules[step];
    enum grammar_verdict verdict = check_state(grammar, rule, author);
    if (verdict != GRAMMAR_LEGAL)
        return verdict;
    if (rule->set != GRAMMAR_NONE)
        return check_item(ret_item, grammar, rule, id);
    if (rule->after == GRAMMAR_ENDED &&
        (grammar_first_open(grammar, GRAMMAR_TOOL) || grammar_first_open(grammar, GRAMMAR_TEXT)))
        return GRAMMAR_LEFT_OPEN;
    *ret_item = NULL;
    return GRAMMAR_LEGAL;
}

enum grammar_verdict grammar_check(struct grammar_item **ret_item, const struct grammar *grammar,
    enum grammar_step step, struct span id)
{
    return check(ret_item, grammar, step, id, GRAMMAR_AGENT);
}

enum grammar_verdict grammar_judge(const struct grammar *grammar, const struct event *event,
    struct span interrupt_id, enum grammar_author author)
{
    struct grammar_item *item;
    enum grammar_step step = grammar_step_of(event);
    return check(&item, grammar, step, grammar_id_of(step, event, interrupt_id), author);
}

/* ---- the step is taken */

int grammar_add(struct grammar *grammar, struct grammar_item *item, enum grammar_set set)
{
    item->state = ITEM_NEW;
    item->set = set;
    list_init(&item->link);
    return map_put(&grammar->items[set], span_of_string(item->id), item);
}

static void item_become(struct grammar *grammar, struct grammar_item *item, enum item_state state)
{
    if (item->state == state)
        return;
    list_remove(&item->link);
    grammar->open_count[item->set] -= item->state == ITEM_OPEN;
    grammar->open_count[item->set] += state == ITEM_OPEN;
    if (state == ITEM_OPEN)
        list_append(&grammar->open[item->set], &item->link);
    item->state = state;
}

void grammar_remove(struct grammar *grammar, struct grammar_item *item)
{
    assert(item->state == ITEM_NEW);
    map_remove(&grammar->items[item->set], span_of_string(item->id));
    free(item);
}

static void advance(struct grammar *grammar, const struct rule *rule)
{
    if (rule->after != GRAMMAR_SAME)
        grammar->state = rule->after;
}

void grammar_apply(struct grammar *grammar, enum grammar_step step, struct grammar_item *item)
{
    const struct rule *rule = &rules[step];
    assert(rule->before[GRAMMAR_AGENT] & grammar->state);
    assert(!item == (rule->set == GRAMMAR_NONE));
    assert(rule->after != GRAMMAR_ENDED || (!grammar_first_open(grammar, GRAMMAR_TOOL) &&
                                               !grammar_first_open(grammar, GRAMMAR_TEXT)));
    advance(grammar, rule);
    if (item)
        item_become(grammar, item, (enum item_state)rule->item_after);
}

struct grammar_item *grammar_find(
    const struct grammar *grammar, enum grammar_set set, struct span id)
{
    const struct list_link *newest = grammar->open[set].prev;
    /* Most often it is the one opened last: text comes in pieces. */
    if (newest != &grammar->open[set]) {
        struct grammar_item *item = CONTAINER_OF(newest, struct grammar_item, link);
        if (span_is(id, item->id))
            return item;
    }
    return map_get(&grammar->items[set], id);
}

struct grammar_item *grammar_first_open(const struct grammar *grammar, enum grammar_set set)
{
    return LIST_FIRST(struct grammar_item, &grammar->open[set], link);
}

void grammar_seal(struct grammar *grammar)
{
    grammar->state = GRAMMAR_ENDED;
}

/* ---- for those who keep what is open */

static int open_item(struct grammar_item **ret_item, struct grammar *grammar, enum grammar_set set,
    struct span id, size_t item_size)
{
    struct grammar_item *item = id.len < IDENTIFIER_SIZE ? calloc(1, item_size) : NULL;
    if (!item)
        return -ENOMEM;
    memcpy(item->id, id.data, id.len);
    int rc = grammar_add(grammar, item, set);
    if (rc) {
        free(item);
        return rc;
    }
    item_become(grammar, item, ITEM_OPEN);
    *ret_item = item;
    return 0;
}

static int close_item(struct grammar *grammar, enum grammar_set set, struct span id)
{
    struct grammar_item *item = map_remove(&grammar->items[set], id);
    int rc = grammar_past_add(&grammar->past, set, id);
    if (!item)
        return rc;
    item_become(grammar, item, ITEM_CLOSED);
    free(item);
    return rc;
}

int grammar_follow(struct grammar_item **ret_item, struct grammar *grammar, enum grammar_step step,
    struct span id, size_t item_size)
{
    const struct rule *rule = &rules[step];
    *ret_item = NULL;
    advance(grammar, rule);
    if (rule->set == GRAMMAR_NONE || id.len == 0)
        return 0;
    if (rule->item_after == ITEM_CLOSED)
        return close_item(grammar, rule->set, id);
    if (grammar_find(grammar, rule->set, id))
        return 0;
    return open_item(ret_item, grammar, rule->set, id, item_size);
}

/* Types that no agent writes are the broker's, marked or not. */
static enum grammar_author author_of(const struct rule *rule, const struct event *event)
{
    bool own = rule->before[GRAMMAR_AGENT] == GRAMMAR_NEVER;
    return own || event->flags & EVENT_FLAG_SYNTHETIC ? GRAMMAR_BROKER : GRAMMAR_AGENT;
}

enum grammar_verdict grammar_read(
    struct grammar *grammar, const struct event *event, struct span interrupt_id)
{
    struct grammar_item *item;
    enum grammar_step step = grammar_step_of(event);
    enum grammar_author author = author_of(&rules[step], event);
    enum grammar_verdict verdict = grammar_judge(grammar, event, interrupt_id, author);
    struct span id = grammar_id_of(step, event, interrupt_id);
    if (verdict == GRAMMAR_LEGAL &&
        grammar_follow(&item, grammar, step, id, sizeof(struct grammar_item)) < 0)
        return GRAMMAR_NO_MEMORY;
    return verdict;
}
