/* SPDX-License-Identifier: Apache-2.0 */
/* A broker as a process of its own, as it is installed or was built. */
#pragma once

#include <sys/types.h>

#include "bench.h"

#define SERVER_FLAGS 7

/* The flags of a broker whose arena is `<page->directory>-<number>`, with everything else in
 * `<page->scratch>/<number>`. */
struct server_flags {
    char text[SERVER_FLAGS][256];
};

void server_flags(
    struct server_flags *ret_flags, const struct bench_page *page, unsigned number, uint32_t rings);

struct server {
    pid_t pid;
    int ready; /* readable when it serves */
};

/* It dies with the caller. */
void server_start(struct server *ret_server, const struct server_flags *flags);
/* Until it says that it is ready; fails when it does not. */
void server_wait_ready(struct server *server);
/* SIGKILL; dead when it returns. */
void server_kill(struct server *server);
/* What it has used of its processors so far, all of its threads. */
int64_t server_cpu_ns(const struct server *server);
