/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "check/check.h"

/* What the checks found, on standard output. */

/* The table: its head; a row and what is to be done, as soon as an agent is through; the last line.
 */
void check_report_head(size_t name_width);
void check_report_row(const struct check_agent *agent, size_t name_width);
void check_report_sum(size_t agents, size_t failed);
/* All of it as one JSON object. */
void check_report_json(const struct check_agent *agents, size_t count);
