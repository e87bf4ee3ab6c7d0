/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of deaths and the processes they kill (helper.c) say to each other. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Users `shared-0`.. that all writers write to. */
#define HELPER_SHARED_USERS 3u
#define HELPER_PAYLOAD_MAX 3000u

/* Head of every payload; what follows are length bytes of a pattern made from seq. */
struct helper_payload {
    uint32_t writer;
    uint32_t length;
    uint64_t seq; /* of this writer, over all users */
};

/* What a reader process passes on through its pipe, one for every record. */
struct helper_passed {
    uint64_t begin;
    uint64_t end;
    uint64_t seq;
    uint32_t ring;
    uint32_t writer;
};

struct helper_job {
    const char *mode; /* "write", "write-shared" (no users of its own) or "read" */
    const char *directory;
    const char *step; /* where to die, "-" for nowhere */
    uint32_t count;   /* at which pass */
    uint32_t writer;  /* which writer this is */
    uint64_t first;   /* its first sequence number */
    uint64_t last;    /* one past its last */
};

/* A writer's report on descriptor 3 is one byte an event emitted with success; a reader's is a
 * helper_passed a record, written before the record is released. */
struct helper {
    pid_t pid;
    int report;
};

void helper_start(struct helper *ret_helper, const char *path, const struct helper_job *job);
/* True once the process has ended; *ret_status as from waitpid. */
int helper_ended(struct helper *h, int *ret_status);
/* Ends it by SIGKILL and waits. */
void helper_kill(struct helper *h);
uint32_t helper_length(uint32_t writer, uint64_t seq);
void helper_fill(struct helper_payload *payload, uint32_t writer, uint64_t seq);
/* Whether payload_length bytes are what the writer put there. */
int helper_intact(const struct helper_payload *payload, uint32_t payload_length);
