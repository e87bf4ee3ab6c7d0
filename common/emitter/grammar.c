/* SPDX-License-Identifier: Apache-2.0 */
#include "grammar.h"

#include <assert.h>
#include <ringside-error.h>

struct rule {
    enum grammar_state run_before;
    enum grammar_state run_after;
    enum grammar_set set;
    unsigned item_before; /* enum item_state, or-ed */
    unsigned item_after;
};

static const struct rule rules[] = {
#define STEP(symbol, run_before, run_after, set, item_before, item_after)                          \
    [STEP_##symbol] = {                                                                            \
        GRAMMAR_##run_before, GRAMMAR_##run_after, GRAMMAR_##set, item_before, item_after},
#include "steps.def"
#undef STEP
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
}

enum grammar_set grammar_step_set(enum grammar_step step)
{
    return rules[step].set;
}

int grammar_check(struct grammar_item **ret_item, const struct grammar *grammar,
    enum grammar_step step, struct span id)
{
    const struct rule *rule = &rules[step];
    if (grammar->state == GRAMMAR_ENDED)
        return RS_E_ENDED;
    if (grammar->state != rule->run_before)
        return RS_E_ORDER;
    struct grammar_item *item = NULL;
    if (rule->set != GRAMMAR_NONE) {
        item = grammar_find(grammar, rule->set, id);
        if (!(rule->item_before & (item ? item->state : ITEM_NEW)))
            return RS_E_ORDER;
    }
    if (step == STEP_END &&
        (grammar_first_open(grammar, GRAMMAR_TOOL) || grammar_first_open(grammar, GRAMMAR_TEXT)))
        return RS_E_ORDER;
    *ret_item = item;
    return RS_OK;
}

int grammar_add(struct grammar *grammar, struct grammar_item *item, enum grammar_set set)
{
    item->state = ITEM_NEW;
    item->set = set;
    list_init(&item->link);
    return map_put(&grammar->items[set], span_of_string(item->id), item) ? RS_E_NO_MEMORY : RS_OK;
}

void grammar_remove(struct grammar *grammar, struct grammar_item *item)
{
    assert(item->state == ITEM_NEW);
    map_remove(&grammar->items[item->set], span_of_string(item->id));
    free(item);
}

static void item_become(struct grammar *grammar, struct grammar_item *item, enum item_state state)
{
    if (item->state == state)
        return;
    list_remove(&item->link);
    if (state == ITEM_OPEN)
        list_append(&grammar->open[item->set], &item->link);
    item->state = state;
}

void grammar_apply(struct grammar *grammar, enum grammar_step step, struct grammar_item *item)
{
    const struct rule *rule = &rules[step];
    assert(grammar->state == rule->run_before);
    assert(!item == (rule->set == GRAMMAR_NONE));
    assert(rule->run_after != GRAMMAR_ENDED || (!grammar_first_open(grammar, GRAMMAR_TOOL) &&
                                                   !grammar_first_open(grammar, GRAMMAR_TEXT)));
    grammar->state = rule->run_after;
    if (item)
        item_become(grammar, item, (enum item_state)rule->item_after);
}

struct grammar_item *grammar_find(
    const struct grammar *grammar, enum grammar_set set, struct span id)
{
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
