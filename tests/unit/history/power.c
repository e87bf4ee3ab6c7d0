/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE 4096

struct disk disk_now(struct fixture *fixture)
{
    struct disk disk;
    const struct history_stream *ann = fixture_stream(fixture, "ann");
    disk.data = read_whole_file(fixture->directory, "data.mdb", &disk.size);
    disk.state = read_whole_file(fixture->directory, "state", &disk.state_size);
    disk.oldest = history_oldest(ann);
    disk.head = history_head(ann);
    snprintf(disk.epoch, sizeof(disk.epoch), "%s", history_epoch(ann));
    return disk;
}

void disk_free(struct disk *disk)
{
    free(disk->data);
    free(disk->state);
}

void churn(struct fixture *fixture, struct chance *chance)
{
    for (size_t i = 10 + chance_below(chance, 40); i > 0; i--) {
        char user[16];
        snprintf(user, sizeof(user), "user-%zu", chance_below(chance, 20));
        stage_events(fixture, user, 1 + (unsigned)chance_below(chance, 100));
        commit_events(fixture, "ann", 10);
        assert_return_code(history_trim(fixture->history, clock_wall_ms()), 0);
        assert_return_code(history_merge(fixture->history), 0);
    }
}

static void mix(char *data, const struct loss *loss, struct chance *chance)
{
    size_t share = 1 + chance_below(chance, 99);
    memcpy(data, loss->now->data, loss->now->size);
    for (size_t at = 0; at < loss->now->size; at += PAGE) {
        if (chance_below(chance, 100) < share)
            continue;
        if (at < loss->synced->size)
            memcpy(data + at, loss->synced->data + at, PAGE);
        else
            memset(data + at, 0, PAGE);
    }
}

void assert_found_after_power_loss(
    struct fixture *fixture, struct chance *chance, const struct loss *loss)
{
    char *data = malloc(loss->now->size);
    assert_non_null(data);
    fixture_close(fixture);
    mix(data, loss, chance);
    write_whole_file(fixture->directory, "data.mdb", data, loss->now->size);
    write_whole_file(fixture->directory, "state", loss->state->state, loss->state->state_size);
    pretend_other_boot(fixture->directory);
    free(data);
    fixture_open(fixture);
    assert_range(fixture, "ann", loss->found->oldest, loss->found->head);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), loss->found->epoch);
}
