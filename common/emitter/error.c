/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include "base/cleanup.h"

#include <errno.h>

static const struct {
    int from;
    int to;
} table[] = {
    {EINVAL, RS_E_INVALID},
    {EMSGSIZE, RS_E_TOO_BIG},
    {EAGAIN, RS_E_FULL},
    {ETIMEDOUT, RS_E_TIMEOUT},
    {ENOENT, RS_E_NO_NODE},
    {EPERM, RS_E_PERMISSION},
    {EACCES, RS_E_PERMISSION},
    {ELOOP, RS_E_PERMISSION},
    {EPROTO, RS_E_VERSION},
    {EUCLEAN, RS_E_DAMAGED},
    {EUSERS, RS_E_NO_ROOM},
    {ENOSPC, RS_E_NO_ROOM},
    {EDQUOT, RS_E_NO_ROOM},
    {EOVERFLOW, RS_E_NO_ROOM},
    {ENOMEM, RS_E_NO_MEMORY},
    {EOWNERDEAD, RS_E_FENCED},
    {ECHILD, RS_E_FORKED},
};

int error_from_errno(int rc)
{
    if (rc >= 0)
        return RS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].from == -rc)
            return table[i].to;
    }
    return RS_E_SYSTEM;
}

int error_from_verdict(enum grammar_verdict verdict)
{
    switch (verdict) {
    case GRAMMAR_LEGAL: return RS_OK;
    case GRAMMAR_SEALED: return RS_E_ENDED;
    case GRAMMAR_TOO_MANY_OPEN: return RS_E_TOO_MANY;
    case GRAMMAR_NO_MEMORY: return RS_E_NO_MEMORY;
    default: return RS_E_ORDER;
    }
}

const char *rs_strerror(int code)
{
    switch ((enum rs_error_code)code) {
    case RS_OK: return "done";
    case RS_E_INVALID: return "an argument is not valid";
    case RS_E_ORDER: return "the run cannot take this step now";
    case RS_E_ENDED: return "the run has ended";
    case RS_E_TYPE: return "not a type of event that agents emit";
    case RS_E_TOO_BIG: return "the event is larger than a record can be";
    case RS_E_FULL: return "the user's ring is full";
    case RS_E_TIMEOUT: return "the broker has not come that far yet";
    case RS_E_NO_NODE: return "no node of this name runs on this machine";
    case RS_E_PERMISSION: return "the node belongs to another account";
    case RS_E_VERSION: return "the node is of another version";
    case RS_E_DAMAGED: return "the node's shared memory is damaged";
    case RS_E_NO_ROOM: return "the node has no ring, memory, thread slot or process entry left";
    case RS_E_NO_MEMORY: return "out of memory";
    case RS_E_FENCED: return "the broker has declared this process dead";
    case RS_E_FORKED: return "the emitter belongs to the parent process";
    case RS_E_SYSTEM: return "the kernel refused";
    case RS_E_TOO_MANY: return "too many tools, texts or questions are open in the run";
    }
    return "unknown code";
}
