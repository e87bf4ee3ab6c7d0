/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop/broker.h"

/* What the broker counts and how it stands, in Prometheus' text format. */
void metrics_append(const struct broker *broker, struct buffer *out);
