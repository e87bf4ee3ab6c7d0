/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "unit.h"
#include "view.h"

#include <stdio.h>

static void test_view_that_begins_live_takes_what_follows(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 41, 41, false);
    assert_false(view_settle(&view, 41)); /* live was not asked to be announced */
    assert_false(view.replaying);
    assert_int_equal(view_offer_live(&view, 41), VIEW_SEEN);
    assert_int_equal(view_offer_live(&view, 42), VIEW_TAKE);
    view_advance(&view, 42, true);
    assert_int_equal(view.prev, 42);
}

static void test_view_says_caught_up_once_and_not_before_the_head(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 0, 3, true);
    assert_false(view_settle(&view, 0));
    assert_true(view.replaying);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(view_offer_page(&view, seq), VIEW_TAKE);
        view_advance(&view, seq, true);
        assert_int_equal(view_settle(&view, 3), seq == 3);
    }
    assert_false(view.replaying);
    assert_false(view_settle(&view, 3));
}

static void test_view_of_an_empty_stream_is_caught_up_at_once(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 0, 0, true);
    assert_true(view_settle(&view, 0));
}

static void test_view_goes_back_to_history_when_something_is_missing(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 10, 10, false);
    view_settle(&view, 10);
    assert_int_equal(view_offer_live(&view, 13), VIEW_AHEAD);
    assert_true(view.replaying);
    view_advance(&view, 11, true);
    assert_false(view_settle(&view, 13));
    assert_true(view.replaying);
    view_advance(&view, 13, true);
    assert_false(view_settle(&view, 13)); /* it never was announced, and need not be now */
    assert_false(view.replaying);
}

static void test_view_keeps_prev_at_the_last_event_that_was_sent(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 5, 9, true);
    view_advance(&view, 6, false);
    view_advance(&view, 7, false);
    assert_int_equal(view.prev, 5);
    assert_int_equal(view.position, 7);
    view_advance(&view, 8, true);
    assert_int_equal(view.prev, 8);
}

static void test_view_continues_behind_a_gap(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 5, 20, true);
    view_skip_gap(&view, 12);
    assert_int_equal(view.prev, 12);
    assert_int_equal(view_offer_page(&view, 12), VIEW_SEEN);
    assert_int_equal(view_offer_page(&view, 13), VIEW_TAKE);
    view_skip_gap(&view, 7); /* behind us already */
    assert_int_equal(view.position, 12);
}

static void test_view_ends_its_replay_when_the_store_has_no_more(void **state)
{
    (void)state;
    struct view view;
    view_begin(&view, 5, 20, true);
    assert_true(view_exhaust(&view));
    assert_false(view.replaying);
    assert_int_equal(view_offer_live(&view, 21), VIEW_AHEAD);
}

static void test_filter_passes_named_threads_or_all(void **state)
{
    (void)state;
    struct filter filter = {0};
    assert_true(filter_passes(&filter, SPAN_LITERAL("t-1")));
    filter.count = 2;
    snprintf(filter.threads[0], sizeof(filter.threads[0]), "t-1");
    snprintf(filter.threads[1], sizeof(filter.threads[1]), "t-22");
    assert_true(filter_passes(&filter, SPAN_LITERAL("t-22")));
    assert_false(filter_passes(&filter, SPAN_LITERAL("t-2")));
    assert_false(filter_passes(&filter, SPAN_EMPTY));
}

/*
 * A world of one stream: events come to exist, some of the live messages are lost, late or said
 * twice, pages are read at any time. Whatever happens, what the view takes is every number once,
 * in order, and it ends with all of them.
 */
struct world {
    struct chance chance;
    struct view view;
    uint64_t head;
    uint64_t taken;
    unsigned announced;
};

static void take(struct world *world, uint64_t seq)
{
    assert_int_equal(seq, world->taken + 1);
    world->taken = seq;
    view_advance(&world->view, seq, true);
}

static void offer_live(struct world *world, uint64_t seq)
{
    if (view_offer_live(&world->view, seq) == VIEW_TAKE)
        take(world, seq);
    world->announced += view_settle(&world->view, world->head);
}

static void read_page(struct world *world, uint64_t from, uint64_t count)
{
    for (uint64_t seq = from + 1; seq <= world->head && seq <= from + count; seq++) {
        if (view_offer_page(&world->view, seq) == VIEW_TAKE)
            take(world, seq);
    }
    world->announced += view_settle(&world->view, world->head);
}

static void turn(struct world *world)
{
    switch (chance_below(&world->chance, 5)) {
    case 0:
    case 1: offer_live(world, ++world->head); break;
    case 2: world->head++; break; /* its live message is lost */
    case 3: offer_live(world, 1 + chance_below(&world->chance, world->head)); break;
    default:
        if (world->view.replaying)
            read_page(world, world->view.position, 1 + chance_below(&world->chance, 10));
    }
}

static void test_view_takes_every_event_once_whatever_the_interleaving(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int round = 0; round < 300; round++) {
        struct world world = {.chance = chance, .head = 20};
        uint64_t start = chance_below(&chance, 21);
        world.taken = start;
        view_begin(&world.view, start, world.head, true);
        world.announced += view_settle(&world.view, world.head);
        for (int i = 0; i < 300; i++)
            turn(&world);
        offer_live(&world, ++world.head);
        while (world.view.replaying)
            read_page(&world, world.view.position, 7);
        assert_int_equal(world.taken, world.head);
        assert_int_equal(world.announced, 1);
        chance = world.chance;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_that_begins_live_takes_what_follows),
        cmocka_unit_test(test_view_says_caught_up_once_and_not_before_the_head),
        cmocka_unit_test(test_view_of_an_empty_stream_is_caught_up_at_once),
        cmocka_unit_test(test_view_goes_back_to_history_when_something_is_missing),
        cmocka_unit_test(test_view_keeps_prev_at_the_last_event_that_was_sent),
        cmocka_unit_test(test_view_continues_behind_a_gap),
        cmocka_unit_test(test_view_ends_its_replay_when_the_store_has_no_more),
        cmocka_unit_test(test_filter_passes_named_threads_or_all),
        cmocka_unit_test(test_view_takes_every_event_once_whatever_the_interleaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
