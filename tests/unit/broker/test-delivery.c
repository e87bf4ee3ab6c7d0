/* SPDX-License-Identifier: Apache-2.0 */
/* What emitters learn of what clients acknowledge, and of whether there are any. */
#include "peer-test.h"

#include "chance.h"
#include "delivery/delivery.h"
#include "process-test.h"
#include "ring/directory.h"
#include "ring/writer.h"

#include <errno.h>

/* ---- marks */

static void test_mark_is_reached_by_its_number_and_forgotten(void **state)
{
    (void)state;
    struct delivery delivery = {0};
    delivery_note(&delivery, 5, 10);
    delivery_note(&delivery, 8, 20);
    assert_int_equal(delivery_take(&delivery, 4), 0);
    assert_int_equal(delivery_take(&delivery, 7), 10);
    assert_int_equal(delivery_take(&delivery, 7), 0);
    assert_int_equal(delivery_take(&delivery, 8), 20);
    assert_int_equal(delivery.count, 0);
}

static void test_position_that_moved_without_a_number_moves_its_mark(void **state)
{
    (void)state;
    struct delivery delivery = {0};
    delivery_note(&delivery, 5, 10);
    delivery_note(&delivery, 5, 12); /* what was drained meanwhile was refused */
    assert_int_equal(delivery.count, 1);
    assert_int_equal(delivery_take(&delivery, 5), 12);
}

/* Event n ends at position n: an answer above what was acknowledged would be a lie. */
static void test_marks_never_say_too_much_and_catch_up_in_the_end(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int round = 0; round < 200; round++) {
        struct delivery delivery = {0};
        uint64_t seq = 0;
        uint64_t acknowledged = 0;
        uint64_t told = 0;
        for (int turn = 0; turn < 100; turn++) {
            seq += 1 + chance_below(&chance, 5);
            delivery_note(&delivery, seq, seq);
            if (chance_below(&chance, 4) == 0) {
                acknowledged += chance_below(&chance, seq - acknowledged + 1);
                uint64_t position = delivery_take(&delivery, acknowledged);
                assert_true(position <= acknowledged);
                assert_true(position == 0 || position > told);
                told = position ? position : told;
            }
            assert_in_range(delivery.count, 0, DELIVERY_MARKS);
        }
        uint64_t position = delivery_take(&delivery, seq);
        assert_int_equal(position ? position : told, seq);
    }
}

/* ---- from a client's acknowledgement to the emitter's memory */

static struct ring_place place_of(struct fixture *f, const char *user)
{
    struct ring_place place = {0};
    assert_int_equal(directory_find(&place.ring, f->arena, user, strlen(user)), 0);
    struct ring_mark mark = drain_mark(f->drain, fixture_user(f, user));
    place.position = mark.position;
    place.generation = 1;
    while (ring_place_reached(f->arena, &place, RING_DELIVERED) == -ESTALE)
        place.generation++;
    return place;
}

static void ack(struct peer *peer, const char *user, uint64_t seq, bool filtered)
{
    const char *epoch = history_epoch(fixture_user(peer->f, user)->stream);
    peer_send(peer, &(struct wire_message){.kind = WIRE_ACK,
                        .ack = {.user = span_of_string(user),
                            .epoch = span_of_string(epoch),
                            .seq = seq,
                            .filtered = filtered}});
    peer_expect_nothing(peer);
}

static void test_event_is_delivered_once_its_number_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct child child;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    child_start(&child, f);
    child_emit(&child, "seen", started("r-seen"));
    fixture_turn(f);
    struct ring_place first = place_of(f, "seen");
    child_emit(&child, "seen", text_event("r-seen", "m-1", 0));
    fixture_turn(f);
    struct ring_place second = place_of(f, "seen");
    assert_int_equal(ring_place_reached(f->arena, &second, RING_SEQUENCED), 1);
    assert_int_equal(ring_place_reached(f->arena, &first, RING_DELIVERED), 0);
    ack(&gateway, "seen", 1, false);
    assert_int_equal(ring_place_reached(f->arena, &first, RING_DELIVERED), 1);
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 0);
    ack(&gateway, "seen", 3, false); /* beyond what there is: nobody can have seen it */
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 0);
    ack(&gateway, "seen", 2, true); /* of the threads it sees */
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 0);
    ack(&gateway, "seen", 2, false);
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 1);
    child_stop(&child);
    peer_leave(&gateway);
}

static void test_what_was_delivered_stays_so_over_a_restart_and_the_rest_follows(void **state)
{
    struct fixture *f = *state;
    struct child child;
    child_start(&child, f);
    child_emit(&child, "again", started("r-again"));
    fixture_turn(f);
    struct ring_place first = place_of(f, "again");
    fixture_user(f, "again")->acknowledged = 1;
    drain_acknowledged(f->drain, fixture_user(f, "again"));
    child_emit(&child, "again", text_event("r-again", "m-1", 0));
    fixture_turn(f);
    struct ring_place second = place_of(f, "again");
    fixture_restart(f);
    fixture_recover(f);
    assert_int_equal(ring_place_reached(f->arena, &first, RING_DELIVERED), 1);
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 0);
    struct user *user = fixture_user(f, "again");
    user->acknowledged =
        1; /* the marks are gone: only all of it is known to reach the ring's end */
    drain_acknowledged(f->drain, user);
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 0);
    user->acknowledged = history_committed_head(user->stream);
    drain_acknowledged(f->drain, user);
    assert_int_equal(ring_place_reached(f->arena, &second, RING_DELIVERED), 1);
    child_stop(&child);
}

static uint64_t unwatched_since(struct fixture *f, const char *user)
{
    struct ring_place place = place_of(f, user);
    const struct ring_lease lease = {.ring = place.ring, .generation = place.generation};
    return ring_unwatched_since(f->arena, &lease);
}

static void test_emitter_knows_since_when_nobody_watches(void **state)
{
    struct fixture *f = *state;
    struct child child;
    struct peer gateway;
    peer_connect_gateway(&gateway, f);
    child_start(&child, f);
    child_emit(&child, "alone", started("r-alone"));
    fixture_turn(f);
    assert_int_equal(unwatched_since(f, "alone"), fixture_user(f, "alone")->lonely_since_ms);
    peer_open(&gateway, "alone");
    assert_int_equal(unwatched_since(f, "alone"), 0);
    peer_leave(&gateway);
    assert_int_not_equal(unwatched_since(f, "alone"), 0);
    child_stop(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark_is_reached_by_its_number_and_forgotten),
        cmocka_unit_test(test_position_that_moved_without_a_number_moves_its_mark),
        cmocka_unit_test(test_marks_never_say_too_much_and_catch_up_in_the_end),
        cmocka_unit_test(test_event_is_delivered_once_its_number_is_acknowledged),
        cmocka_unit_test(test_emitter_knows_since_when_nobody_watches),
        cmocka_unit_test_setup_teardown(
            test_what_was_delivered_stays_so_over_a_restart_and_the_rest_follows, fixture_up,
            fixture_down),
    };
    return cmocka_run_group_tests_name(
        "broker-delivery", tests, linked_fixture_up, linked_fixture_down);
}
