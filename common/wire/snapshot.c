/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/snapshot.h"

#include "base/pack.h"

#include <errno.h>

void wire_snapshot_append(struct buffer *out, const struct wire_snapshot_run *run)
{
    pack_str(out, run->thread_id);
    pack_bin(out, run->body);
}

int wire_snapshot_next(struct wire_snapshot_run *ret_run, struct span runs, size_t *offset)
{
    struct wire_snapshot_run run;
    if (*offset >= runs.len)
        return 0;
    struct pack_reader reader = pack_reader_of(span_of(runs.data + *offset, runs.len - *offset));
    if (!pack_read_str(&reader, &run.thread_id) || !pack_read_bin(&reader, &run.body) ||
        run.body.len < 2 || run.body.data[0] != '{')
        return -EBADMSG;
    *offset = (size_t)((const char *)reader.at - runs.data);
    *ret_run = run;
    return 1;
}
