/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

/* Writing values as config_parse_* reads them: in the largest unit that divides them. */
void config_format_bytes(struct buffer *out, uint64_t bytes);
void config_format_duration(struct buffer *out, uint64_t ms);
/* Decimal digits and nothing else. -EINVAL, -ERANGE. */
int config_parse_number(const char *text, uint64_t *ret_number);
