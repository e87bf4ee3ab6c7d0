/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The exit status of a program that was told to leave and not to be started again. */
#define EXIT_DRAINED 10

/*
 * Tells whoever started this program that it serves now: writes one line to the descriptor named by
 * RINGSIDE_READY_FD, and closes it. Does nothing when the variable is not set.
 */
void ready_announce(const char *line);
