/* SPDX-License-Identifier: Apache-2.0 */
#include "port_claim.h"

#include "listener.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

static int lock(int fd, int operation)
{
    int rc;
    do {
        rc = flock(fd, operation);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

int port_claim(const char *run_dir, const char *host, uint16_t port)
{
    char name[32];
    char path[PATHS_MAX];
    snprintf(name, sizeof(name), "gateway-%u.lock", (unsigned)port);
    int rc = paths_join(path, run_dir, name);
    if (rc)
        return rc;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    rc = lock(fd, LOCK_EX | LOCK_NB);
    if (!rc)
        rc = listener_probe(host, port);
    else if (rc == -EWOULDBLOCK)
        rc = 0; /* a gateway of this node has it */
    if (!rc)
        rc = lock(fd, LOCK_SH);
    return rc ? rc : steal_fd(&fd);
}
