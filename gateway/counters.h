/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/* Every count of one gateway; a field for each row of counters.def. Loop thread only. */
struct counters {
#define COUNTER(name, help) uint64_t name;
#define GAUGE(name, help) uint64_t name;
#include "counters.def"
#undef COUNTER
#undef GAUGE
};

/* Prometheus' text format, version 0.0.4. */
void counters_append_metrics(struct buffer *out, const struct counters *counters);
/* {"connections":1,…} */
void counters_append_json(struct buffer *out, const struct counters *counters);
