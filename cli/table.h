/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <jansson.h>

/*
 * JSON for people: an object's members as "name  value" lines, an object of objects as headed
 * groups, an array of objects as a table with a column for each member that any of them has, those
 * of an object among them included. What lies deeper is left to those who ask for JSON. Names lose
 * their units: "uptime_ms": 1500 is shown as "uptime  1.5 s". Control characters in texts are shown
 * as '?'.
 */
void table_append(struct buffer *out, const json_t *object);
/* One value as it is shown under `name`. */
void table_append_value(struct buffer *out, const char *name, const json_t *value);
