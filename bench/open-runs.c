/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ringside-bench-open-runs NUMBER: a program on the emitter library with so many runs of the user
 * "ann" begun and standing open, as death.py kills it. Says "open" when all is emitted, and waits
 * for its end.
 */
#include <ringside.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int begin_run(rs_emitter *emitter, int number)
{
    char thread[32];
    rs_run *run;
    const struct rs_run_context context = {.user_id = "ann", .thread_id = thread, .agent = "slow"};

    snprintf(thread, sizeof thread, "t-%d", number);
    int rc = rs_run_open(&run, emitter, &context);
    if (rc == RS_OK)
        rc = rs_run_start(run);
    if (rc == RS_OK)
        rc = rs_text(run, NULL, "so far", 6, NULL);
    return rc;
}

int main(int argc, char **argv)
{
    rs_emitter *emitter;
    int count = argc == 2 ? atoi(argv[1]) : 0;
    int rc = rs_attach(&emitter, NULL);

    for (int i = 0; i < count && rc == RS_OK; i++)
        rc = begin_run(emitter, i);
    if (rc != RS_OK) {
        fprintf(stderr, "open-runs: %s\n", rs_strerror(rc));
        return 1;
    }
    puts("open");
    fflush(stdout);
    pause();
    return 0;
}
