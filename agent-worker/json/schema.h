/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * JSON schemas, as far as arguments of tools need them (docs/tools.md has the keywords). Pure.
 * Schemas and values are text that json_scan_valid has accepted, without space around it. What a
 * check costs is bounded, whatever the two say.
 */

/* The name that stands for the whole value in what schema_check says. */
#define SCHEMA_ROOT "args"

/*
 * 0; or -EINVAL: `problem` then has where and why, in words ("args.limit is less than 1"). Also
 * when checking it would take too long.
 */
int schema_check(struct span schema, struct span value, struct buffer *problem);

/*
 * Looks at the schema itself. -EINVAL when a keyword that is checked is not well-formed: `problem`
 * says which. Else 0, and keywords that constrain but are not checked are appended to `unchecked`,
 * each once, separated by ", ".
 */
int schema_inspect(struct span schema, struct buffer *unchecked, struct buffer *problem);
