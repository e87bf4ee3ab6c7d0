/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What it costs the broker to hand an event to a gateway over a real link: messages with a turn's
 * share of one user's events, over a link, to a process that takes them and lets them fall. The
 * whole process's time, in nanoseconds an event.
 */
#define DELIVERY_SHARE 8u /* events in a message */

double delivery_measure(void);
