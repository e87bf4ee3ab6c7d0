/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int lock_call(int fd, int command, struct flock *lock)
{
    int r;

    do
        r = fcntl(fd, command, lock);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static struct flock lock_range(short type, uint32_t byte, uint32_t count)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = count, .l_pid = 0};
}

int lock_try(int fd, uint32_t byte, uint32_t count)
{
    struct flock lock = lock_range(F_WRLCK, byte, count);

    return lock_call(fd, F_OFD_SETLK, &lock);
}

int lock_wait_shared(int fd, uint32_t byte)
{
    struct flock lock = lock_range(F_RDLCK, byte, 1);

    return lock_call(fd, F_OFD_SETLKW, &lock);
}

void lock_release(int fd, uint32_t byte, uint32_t count)
{
    struct flock lock = lock_range(F_UNLCK, byte, count);

    (void)lock_call(fd, F_OFD_SETLK, &lock);
}

bool lock_is_held(int fd, uint32_t byte, uint32_t count)
{
    struct flock lock = lock_range(F_WRLCK, byte, count);

    /* When the kernel does not answer, nobody has been proven dead. */
    return lock_call(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}
