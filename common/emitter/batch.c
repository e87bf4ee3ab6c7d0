/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: the run keeps one writer, which commits each event as ever and owes the bell. The writer
 * rings by itself before anything that could wait (a full ring, another ring), and the broker rings
 * for a writer that died owing.
 */
#include "run.h"

int rs_batch_begin(rs_run *run)
{
    if (!run)
        return RS_E_INVALID;
    if (run->batch)
        return RS_E_ORDER;
    int rc = emitter_hold(run->emitter, &run->stream);
    if (rc)
        return rc;
    ring_batch_begin(&run->stream.held->writer);
    run->batch = true;
    return RS_OK;
}

int rs_batch_end(rs_run *run)
{
    if (!run)
        return RS_E_INVALID;
    if (!run->batch)
        return RS_E_ORDER;
    run->batch = false;
    bool forked = emitter_is_forked(run->emitter);
    if (!forked)
        ring_batch_end(&run->stream.held->writer);
    emitter_let_go(run->emitter, &run->stream);
    return forked ? RS_E_FORKED : RS_OK;
}
