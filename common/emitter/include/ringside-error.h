/* SPDX-License-Identifier: Apache-2.0 */
/* Part of ringside.h. */
#pragma once

#define RS_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define RS_BEGIN_DECLS extern "C" {
#define RS_END_DECLS }
#else
#define RS_BEGIN_DECLS
#define RS_END_DECLS
#endif

RS_BEGIN_DECLS

/* What calls answer; the numbers are stable. */
enum rs_error_code {
    RS_OK = 0,
    RS_E_INVALID = -1,    /* an argument: identifier, UTF-8, JSON or a member of it */
    RS_E_ORDER = -2,      /* not a legal step now */
    RS_E_ENDED = -3,      /* the run has ended */
    RS_E_TYPE = -4,       /* rs_emit: no such event type, or not the agent's to emit */
    RS_E_TOO_BIG = -5,    /* larger than rs_emitter_event_max() */
    RS_E_FULL = -6,       /* the user's ring is full, and stayed so for emit_timeout_ms */
    RS_E_TIMEOUT = -7,    /* rs_run_flush: not there yet */
    RS_E_NO_NODE = -8,    /* no node of this name runs, or has run, here */
    RS_E_PERMISSION = -9, /* the node belongs to another account */
    RS_E_VERSION = -10,   /* the node is of another version */
    RS_E_DAMAGED = -11,   /* the node's memory, or the user's ring in it, is damaged */
    RS_E_NO_ROOM = -12,   /* the node has no ring, memory, thread slot or process entry left */
    RS_E_NO_MEMORY = -13, /* of this process */
    RS_E_FENCED = -14,    /* the broker declared this process dead: detach, attach, new runs */
    RS_E_FORKED = -15,    /* the emitter belongs to the parent process */
    RS_E_SYSTEM = -16,    /* another answer of the kernel */
    RS_E_TOO_MANY = -17,  /* 1024 tools, texts or interrupts of the run are open */
};

/* The code in words, static, never NULL. Any thread. */
RS_API const char *rs_strerror(int code);

RS_END_DECLS
