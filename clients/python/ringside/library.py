# SPDX-License-Identifier: Apache-2.0
"""libringside through ctypes: what ringside.h declares, and no more."""
import ctypes
import os

NAME = "libringside.so.0"

P, S, I, N = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
B, U64, U32 = ctypes.c_bool, ctypes.c_uint64, ctypes.c_uint32


class AttachOptions(ctypes.Structure):
    _fields_ = [("node", S), ("arena_dir", S), ("emit_timeout_ms", U32)]


class RunContext(ctypes.Structure):
    _fields_ = [(name, S) for name in ("user_id", "thread_id", "agent", "run_id", "request_id",
                                       "parent_run_id", "input_json")]


FUNCTIONS = {
    "rs_attach": (I, [ctypes.POINTER(P), ctypes.POINTER(AttachOptions)]),
    "rs_detach": (P, [P]),
    "rs_run_open": (I, [ctypes.POINTER(P), P, ctypes.POINTER(RunContext)]),
    "rs_run_id": (S, [P]),
    "rs_run_ended": (B, [P]),
    "rs_run_free": (P, [P]),
    "rs_run_start": (I, [P]),
    "rs_run_set_timeout": (I, [P, I]),
    "rs_run_flush": (I, [P, I, I]),
    "rs_run_unwatched_ms": (U64, [P]),
    "rs_thinking_status": (I, [P, S]),
    "rs_thinking_delta": (I, [P, S, S, N, ctypes.POINTER(N)]),
    "rs_text": (I, [P, S, S, N, ctypes.POINTER(N)]),
    "rs_text_final": (I, [P, S]),
    "rs_tool_begin": (I, [ctypes.POINTER(P), P, S, S, S]),
    "rs_tool_id": (S, [P]),
    "rs_tool_progress": (I, [P, S]),
    "rs_tool_end": (I, [P, I, S, S, S]),
    "rs_error": (I, [P, S, S, B]),
    "rs_run_complete": (I, [P, I, S, S]),
    "rs_run_fail": (I, [P, S, S, B]),
    "rs_strerror": (S, [I]),
}


def load(path=None):
    """The library: the path, else $RINGSIDE_LIBRARY, else what the system finds."""
    library = ctypes.CDLL(path or os.environ.get("RINGSIDE_LIBRARY") or NAME)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
