/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/* The versions of everything that a broker shares with other processes, and with the next broker:
 * versions.def. Pure. */
struct versions {
#define VERSION(name, number, of, todo) uint32_t name;
#include "links/versions.def"
#undef VERSION
};

/* This program's. */
struct versions versions_own(void);
/* "wire=2 arena=2 …", for the one that is asked to hand over. */
void versions_append(struct buffer *out, const struct versions *versions);
/*
 * Whether the sender of `theirs` may take over from `own`. False with a sentence in `why` that
 * names what differs, both versions and what to do; also when `theirs` does not say all of them.
 */
bool versions_agree(const struct versions *own, struct span theirs, struct buffer *why);
