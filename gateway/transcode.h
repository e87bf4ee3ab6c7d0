/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/*
 * Between JSON and MessagePack, for clients that speak the latter. The same objects: maps have
 * strings for names, numbers without fraction and exponent are integers where 64 bits hold them and
 * doubles otherwise, text is UTF-8. Pure; nothing is allocated but what is written.
 *
 * Both take any bytes: -EBADMSG when they are not exactly one object of this kind, or are nested
 * deeper than TRANSCODE_DEPTH_MAX; -ENOMEM. What was appended is taken back then.
 */
#define TRANSCODE_DEPTH_MAX 128

/* From JSON that json_scan_valid accepts: it is not checked as strictly here. */
int transcode_to_msgpack(struct buffer *out, struct span json);
/*
 * From a client's bytes: no binary, no extension, no number that is none, no count that the bytes
 * behind it cannot have; text is checked to be UTF-8.
 */
int transcode_to_json(struct buffer *out, struct span msgpack);
