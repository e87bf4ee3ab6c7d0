/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/batch.h"

/*
 * The bytes of one commit in the journal (journal.h). Pure. In the machine's order of bytes, since
 * no other boot of the host reads them:
 *
 *   header    48 bytes
 *   sections  that the commit opens in the batch being staged: u64 first seq  u8 length, user
 *   entries   struct batch_entry each; sections count from the batch's beginning
 *   data      the events' bytes, in order of arrival
 *   notes     what else was staged, in order: a byte that says what, and
 *             'p' struct history_position
 *             'o' or 'c' (an open run, a closed one)  u8 length, run  u32 length, record
 *             'm' u8 length, user  u8 length, message  u32 length, run
 *
 * A frame names the batch that it will be part of, and the checksum of the frame before it, so
 * that what an older life of the file has left behind is no frame.
 */
#define FRAME_HEADER_SIZE 48
#define FRAME_VERSION 1

struct frame_input {
    uint64_t batch;
    uint64_t former; /* checksum of the frame before; of the first, chance */
    struct span sections;
    struct span entries;
    struct span data;
    struct span notes;
};

struct frame {
    uint64_t batch;
    uint64_t former;
    uint64_t check;
    struct span sections; /* borrowed, as those below */
    struct span entries;
    struct span data;
    struct span notes;
    size_t size;
};

size_t frame_size(const struct frame_input *input);
/* The header; the four parts follow it as they are. Returns the frame's checksum. */
uint64_t frame_write_header(char to[FRAME_HEADER_SIZE], const struct frame_input *input);

/* The frame that `bytes` begins with. -EBADMSG when there is none that is whole. */
int frame_open(struct frame *ret_frame, struct span bytes);

/* ---- what is in a frame; each takes from the front: 1, 0 at the end, -EBADMSG */

struct frame_section {
    uint64_t first_seq;
    struct span user_id;
};
int frame_next_section(struct frame_section *ret_section, struct span *rest);

enum frame_note_kind {
    FRAME_POSITION = 'p',
    FRAME_OPEN_RUN = 'o',
    FRAME_CLOSED_RUN = 'c',
    FRAME_MESSAGE = 'm',
};

struct frame_note {
    enum frame_note_kind kind;
    struct history_position position;
    struct span user_id; /* of a message */
    struct span id;      /* of a run, or a message */
    struct span value;   /* a run's record, or a message's run */
};
int frame_next_note(struct frame_note *ret_note, struct span *rest);

void frame_add_section(struct buffer *out, const struct frame_section *section);
void frame_add_note(struct buffer *out, const struct frame_note *note);
