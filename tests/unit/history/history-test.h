/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "unit.h"

#include "history/history.h"

#include "base/paths.h"

/*
 * A history in a directory of its own. Events are texts that say whose and which they are, of
 * lengths that vary with their number, so that any mix-up shows.
 */
struct fixture {
    char directory[PATHS_MAX];
    struct history_options options; /* of the next opening */
    struct history *history;
    char reason[HISTORY_REASON_SIZE];
};

/* cmocka's set-up and tear-down; the options are HISTORY_SYNC_INTERVAL without limits. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
void fixture_reopen(struct fixture *fixture);
/* What opening returns when it must fail; the reason is left in the fixture. */
int fixture_open_fails(struct fixture *fixture);
struct history_stream *fixture_stream(struct fixture *fixture, const char *user);

/* Appends the text of event `seq` of `user`. */
void event_text(struct buffer *out, const char *user, uint64_t seq);
/* Stages the next `count` events of `user`. */
void stage_events(struct fixture *fixture, const char *user, unsigned count);
void commit_events(struct fixture *fixture, const char *user, unsigned count);
/* Reads all above `after`, a page at a time, and compares up to `head`. */
void assert_events(struct fixture *fixture, const char *user, uint64_t after, uint64_t head);
void assert_range(struct fixture *fixture, const char *user, uint64_t oldest, uint64_t head);

/* Copies data, state and journal as they are on disk, as if the host had stopped now. */
void copy_store(const char *from, const char *to);
/* Makes the store in `directory` look as if it had been written in another boot of the host. */
void pretend_other_boot(const char *directory);
/* The file's bytes; to be freed. */
char *read_whole_file(const char *directory, const char *name, size_t *ret_size);
void write_whole_file(const char *directory, const char *name, const char *bytes, size_t size);
/* Makes `<fixture's directory>-<name>`, removed with the fixture. */
void sibling_directory(const struct fixture *fixture, const char *name, char ret_path[PATHS_MAX]);
