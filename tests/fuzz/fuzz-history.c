/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of the history, a run's record in it, and a frame of the journal, as a damaged store
 * might hold them. */
#include "fuzz.h"

#include "history/fold.h"
#include "history/frame.h"
#include "history/section.h"
#include "runs/run.h"
#include "runs/user.h"

static void check_section(const struct batch *batch, uint32_t index)
{
    struct batch_section section;
    if (batch_section_at(&section, batch, index) < 0)
        return;
    struct buffer out = BUFFER_INIT;
    /* From within the section: a folded event is cut there. */
    struct section_read read = {
        .after = section.first_seq + section.count / 2, .max_bytes = 4096, .at_least_one = true};
    (void)section_read(&out, batch, &section, &read);
    buffer_deinit(&out);
}

static void check_batch(struct span bytes)
{
    struct batch batch;
    if (batch_open(&batch, bytes) < 0 || batch_check_front(&batch) < 0)
        return;
    for (uint32_t i = 0; i < batch.sections; i++)
        check_section(&batch, i);
    for (uint32_t i = 0; i < batch.positions; i++) {
        struct history_position position;
        batch_position_at(&position, &batch, i);
    }
}

/* An event that is taken for one to be folded, and what would be cut from it. */
static void check_fold(struct span bytes)
{
    size_t cuts = bytes.len ? (unsigned char)bytes.data[0] % 32 : 0;
    if (bytes.len < 1 + cuts)
        return;
    struct span event = span_of(bytes.data + 1, bytes.len - 1 - cuts);
    struct span tail = span_of(event.data + event.len, cuts);
    struct fold_piece piece;
    fold_parse(&piece, event, tail);
    struct buffer out = BUFFER_INIT;
    if (piece.is.kind != FOLD_NOTHING) {
        struct fold_group group = {0};
        uint32_t size;
        fold_begin(&group, &piece);
        FUZZ_CHECK(fold_finish(&group, &out, &size) == 0);
        fold_group_deinit(&group);
        (void)fold_append_rest(&out, event, tail, piece.is.event.seq);
    }
    (void)fold_append_rest(&out, event, tail, 2);
    buffer_deinit(&out);
}

/* A frame, and its parts as if its checksum had been right. */
static void check_frame(struct span bytes)
{
    struct frame frame;
    if (frame_open(&frame, bytes) == 0)
        FUZZ_CHECK(frame.size <= bytes.len);
    struct frame_section section;
    struct span rest = bytes;
    while (frame_next_section(&section, &rest) == 1)
        FUZZ_CHECK(section.user_id.len <= bytes.len);
    struct frame_note note;
    rest = bytes;
    while (frame_next_note(&note, &rest) == 1)
        FUZZ_CHECK(note.value.len <= bytes.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct user user = {.id = "fuzz"};
    struct run *run;
    check_batch(span_of(data, size));
    check_fold(span_of(data, size));
    check_frame(span_of(data, size));
    if (run_decode(&run, &user, SPAN_LITERAL("r-1"), span_of(data, size)) == 0)
        run_free(run);
    return 0;
}
