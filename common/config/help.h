/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

/* The text of --help. */
void config_help_append(struct buffer *out, const struct config_program *program);
/* The table of one section's options in Markdown, as in docs/configuration.md. */
void config_reference_append(struct buffer *out, const char *section);
