/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * history-helper DIRECTORY open            exits with 0, or with the error of opening
 * history-helper DIRECTORY commit POLICY   commits until it is killed, and writes the number of
 *                                          each commit to standard output after it returned;
 *                                          POLICY with a j behind it: with a journal
 */
static int commit_for_ever(struct fixture *fixture, const char *policy)
{
    fixture->options.sync = (enum history_sync)strtoul(policy, NULL, 10);
    fixture->options.journal_bytes = strchr(policy, 'j') ? WORKLOAD_JOURNAL_BYTES : 0;
    fixture->options.max_bytes = WORKLOAD_MAX_BYTES;
    fixture->options.max_events_per_user = WORKLOAD_MAX_EVENTS;
    fixture->options.fold_after_ms = 1; /* batches are merged for it, whatever is in them */
    fixture_open(fixture);
    for (;;) {
        char line[32];
        uint64_t n = workload_commit(fixture);
        int len = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)n);
        if (write(STDOUT_FILENO, line, (size_t)len) != len)
            return 1;
        if (n % 7 == 0)
            assert_return_code(history_sync(fixture->history), 0);
    }
}

int main(int argc, char **argv)
{
    struct fixture fixture = {0};
    if (argc < 3)
        return 2;
    snprintf(fixture.directory, sizeof(fixture.directory), "%s", argv[1]);
    fixture.options.directory = fixture.directory;
    if (argc > 3 && strcmp(argv[2], "commit") == 0)
        return commit_for_ever(&fixture, argv[3]);
    return -fixture_open_fails(&fixture);
}
