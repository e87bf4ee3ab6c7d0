/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Stream sockets with a path, none of which ever blocks. */

/*
 * Listens at `path`, for this user's processes alone. A socket that nobody listens at any more is
 * taken away first; a file that is no socket stays. -EADDRINUSE, -ENAMETOOLONG, -EMFILE, …
 */
int local_socket_listen(int *ret_fd, const char *path);
/* -ECONNREFUSED and -ENOENT when nobody listens there, -EAGAIN when too many wait. */
int local_socket_connect(int *ret_fd, const char *path);
/* -EAGAIN when nobody waits. */
int local_socket_accept(int *ret_fd, int listener);
/* The process that connected or listens; 0 when the kernel does not say. */
uint64_t local_socket_peer_pid(int fd);
