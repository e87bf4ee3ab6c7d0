/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * How many connections are due to be sent away. Pure: told how much time has passed and who is
 * left.
 *
 *   0 ─────────────── half ─────────────── window
 *   idle, evenly      │ those with open runs, evenly; who has become idle goes within a tenth
 *
 * Where nobody has open runs, the idle have the whole window.
 */
struct drain_pace {
    uint64_t window;  /* milliseconds */
    uint64_t last;    /* the last step's `elapsed` */
    double idle_owed; /* fractions of connections that earlier steps left */
    double busy_owed;
};

struct drain_share {
    size_t idle;
    size_t busy;
};

void drain_pace_begin(struct drain_pace *pace, uint64_t window);
/* `elapsed`: milliseconds since it began. Who is due is taken for sent. */
struct drain_share drain_pace_step(
    struct drain_pace *pace, uint64_t elapsed, size_t idle, size_t busy);
