/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dispatch/farewell.h"

/*
 * What a broker does before it serves anybody: it finds the open runs in history, learns from
 * their events how far each one is, drains what the rings still hold, and closes the runs whose
 * process did not outlive the broker.
 */
struct recovery {
    struct history *history; /* borrowed, as all here */
    struct users *users;
    struct pipeline *pipeline;
    struct dispatch *dispatch;
    struct processes *processes;
    struct drain *drain;
    struct farewell *farewell;
};

/* Finds the runs. 0, or -errno with what failed in the log. Before the rings are drained. */
int recovery_load(const struct recovery *recovery);
/* Drains, buries, closes, queues. The caller commits. What a commit on the way says, if it fails.
 */
int recovery_settle(const struct recovery *recovery);
