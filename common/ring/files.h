/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an arena: opened without following links, refused when others could write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring/layout.h"

#define FILE_ARENA "arena"
#define FILE_LOCK "lock"
#define FILE_BELL "bell"

/* A descriptor of the directory, made with mode 0700 if `make`. -EPERM: not ours alone. */
int files_open_directory(const char *path, bool make);
/* A descriptor of a regular file of ours, mode 0600, made if `make`. */
int files_open(int directory_fd, const char *name, bool make);
/* A descriptor of the FIFO, made if `make`. */
int files_open_bell(int directory_fd, bool make);
/* Whether the name still stands for the open file. */
bool files_is_current(int directory_fd, const char *name, int fd);
/* Reads and checks the header of an open arena file. Errors as layout_header_check. */
int files_read_header(struct arena_header *ret_header, int fd, const char **ret_reason);
/* Whether the arena, of whatever version, was left with nothing in its rings (LAYOUT_AT_REST). */
bool files_is_at_rest(int fd);
/* Makes a new arena file under the name, complete or not at all; returns its descriptor. */
int files_make_arena(int directory_fd, const struct arena_header *header);
