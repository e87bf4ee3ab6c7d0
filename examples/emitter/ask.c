/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that does not act before its user has seen its question, and does not go on talking
 * when nobody is there any more.
 *
 *   example-ask --user ann
 */
#include <ringside.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SEEN_WITHIN_MS 60000
#define ALONE_MS 2000

/* Asks, and waits until a client of the user has said that it showed it. */
static int ask(rs_emitter *emitter, rs_run *run)
{
    struct rs_position asked;
    int rc = rs_interrupt_request(run, "i-1", "May I go on?", NULL, 0);
    if (rc == RS_OK)
        rc = rs_run_position(run, &asked);
    if (rc)
        return rc;
    puts(rs_event_reached(emitter, &asked, RS_DELIVERED) == 1 ? "seen at once" : "asked");
    fflush(stdout);
    rc = rs_event_wait(emitter, &asked, RS_DELIVERED, SEEN_WITHIN_MS);
    puts(rc ? "not seen" : "seen");
    fflush(stdout);
    return rc ? rc : rs_interrupt_resolved(run, "i-1", NULL, NULL);
}

/* Talks for as long as somebody listens. */
static int talk(rs_run *run)
{
    static const char words[] = "and so on, ";
    int rc = RS_OK;
    while (rc == RS_OK && rs_run_unwatched_ms(run) < ALONE_MS) {
        rc = rs_text(run, NULL, words, strlen(words), NULL);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    if (rc)
        return rc;
    puts("alone");
    return rs_run_complete(run, RS_CANCELLED, NULL, NULL);
}

int main(int argc, char **argv)
{
    rs_emitter *emitter;
    rs_run *run;
    if (argc != 3 || strcmp(argv[1], "--user") != 0) {
        fprintf(stderr, "usage: %s --user USER\n", argv[0]);
        return 2;
    }
    int rc = rs_attach(&emitter, NULL);
    if (rc == RS_OK) {
        struct rs_run_context context = {.user_id = argv[2], .thread_id = "asks", .agent = "asker"};
        rc = rs_run_open(&run, emitter, &context);
        if (rc == RS_OK) {
            rc = rs_run_start(run);
            if (rc == RS_OK)
                rc = ask(emitter, run);
            if (rc == RS_OK)
                rc = talk(run);
            rs_run_free(run); /* ends the run if nothing above did */
        }
        rs_detach(emitter);
    }
    if (rc)
        fprintf(stderr, "%s: %s\n", argv[0], rs_strerror(rc));
    return rc ? 1 : 0;
}
