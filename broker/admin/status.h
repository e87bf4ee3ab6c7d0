/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop/broker.h"

/* The node at a glance, as `ringside status --json` prints it: one JSON object. */
void status_append(const struct broker *broker, struct buffer *out);
