/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdint.h>

/* The longest user, thread, run, request, message and tool-call identifier, in bytes. */
#define IDENTIFIER_MAX 127
#define IDENTIFIER_SIZE (IDENTIFIER_MAX + 1)
/* A made identifier: prefix of at most 3 bytes, 26 digits, NUL. */
#define IDENTIFIER_MADE_SIZE 30

/*
 * Makes "<prefix><26 digits>": 48 bits of wall-clock milliseconds and 80 random bits in Crockford
 * base 32, so that identifiers sort by time of making and cannot be guessed.
 */
void identifier_make(char ret_text[IDENTIFIER_MADE_SIZE], const char *prefix);
/*
 * Whether `id` may stand where outsiders name things: 1 to IDENTIFIER_MAX bytes, printable ASCII
 * without space, quotation mark and backslash (so it needs no escaping in JSON).
 */
bool identifier_valid(struct span id);
/* Whether it is letters and digits of ASCII, '-', '_' and '.', at least one of them. */
bool identifier_plain(struct span id);
/* Fills `size` bytes from the kernel's generator; does not fail. */
void random_bytes(void *data, size_t size);
