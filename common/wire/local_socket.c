/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/local_socket.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 16

static int address_of(struct sockaddr_un *ret_address, const char *path)
{
    size_t len = strlen(path);
    if (len == 0)
        return -EINVAL;
    if (len >= sizeof(ret_address->sun_path))
        return -ENAMETOOLONG;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, len);
    return 0;
}

static int open_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Says nothing to the other side, so a listener with a peer is not disturbed by it. */
static int remove_if_deserted(const char *path)
{
    struct stat status;
    _cleanup_close_ int fd = -1;
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode) || local_socket_connect(&fd, path) != -ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_to(int fd, const char *path)
{
    struct sockaddr_un address;
    int rc = address_of(&address, path);
    if (rc)
        return rc;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    rc = remove_if_deserted(path);
    if (rc)
        return rc;
    return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int local_socket_listen(int *ret_fd, const char *path)
{
    _cleanup_close_ int fd = open_socket();
    if (fd < 0)
        return fd;
    int rc = bind_to(fd, path);
    if (rc)
        return rc;
    /* Until `listen` nobody can connect, so the mode is right before anybody could use it. */
    if (chmod(path, S_IRUSR | S_IWUSR) < 0 || listen(fd, BACKLOG) < 0) {
        rc = -errno;
        unlink(path);
        return rc;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int local_socket_connect(int *ret_fd, const char *path)
{
    struct sockaddr_un address;
    int rc = address_of(&address, path);
    if (rc)
        return rc;
    _cleanup_close_ int fd = open_socket();
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int local_socket_accept(int *ret_fd, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

uint64_t local_socket_peer_pid(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
        return 0;
    return (uint64_t)peer.pid;
}
