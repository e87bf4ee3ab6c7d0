/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_ARENA_NEW "arena.new"
#define FILES_FLAGS (O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int files_check(int fd, mode_t type, mode_t forbidden)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_mode & S_IFMT) != type || st.st_uid != geteuid() || (st.st_mode & forbidden))
        return -EPERM;
    return 0;
}

/* Takes the descriptor: returns it if it is what it should be, else closes it. */
static int files_admit(int fd, mode_t type, mode_t forbidden)
{
    int r;

    if (fd < 0)
        return -errno;
    r = files_check(fd, type, forbidden);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int files_open_directory(const char *path, bool make)
{
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    return files_admit(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), S_IFDIR, 0022);
}

int files_open(int directory_fd, const char *name, bool make)
{
    int flags = FILES_FLAGS | (make ? O_CREAT : 0);

    return files_admit(openat(directory_fd, name, flags, 0600), S_IFREG, 0077);
}

int files_open_bell(int directory_fd, bool make)
{
    if (make && mkfifoat(directory_fd, FILE_BELL, 0600) < 0 && errno != EEXIST)
        return -errno;
    /* Open for both directions, so that no end ever finds the other missing. */
    return files_admit(openat(directory_fd, FILE_BELL, FILES_FLAGS), S_IFIFO, 0077);
}

bool files_is_current(int directory_fd, const char *name, int fd)
{
    struct stat by_name, by_fd;

    return fstatat(directory_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
           by_name.st_dev == by_fd.st_dev;
}

int files_read_header(struct arena_header *ret_header, int fd, const char **ret_reason)
{
    struct arena_header header = {0};
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return -errno;
    n = pread(fd, &header, sizeof header, 0);
    if (n < 0)
        return -errno;
    /* A short read leaves zeroes, which are no magic. */
    int r = layout_header_check(&header, (uint64_t)st.st_size, ret_reason);
    if (r < 0)
        return r;
    *ret_header = header;
    return 0;
}

bool files_is_at_rest(int fd)
{
    uint64_t word = 0;

    return pread(fd, &word, sizeof word, LAYOUT_REST_OFFSET) == (ssize_t)sizeof word &&
           word == LAYOUT_AT_REST;
}

static int files_fill_arena(int fd, const struct arena_header *header)
{
    int r;

    if (ftruncate(fd, (off_t)header->geometry.total_bytes) < 0)
        return -errno;
    do
        r = fallocate(fd, 0, 0, (off_t)header->geometry.initial_bytes);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    ssize_t n = pwrite(fd, header, sizeof *header, 0);
    if (n < 0)
        return -errno;
    return n == (ssize_t)sizeof *header ? 0 : -EIO;
}

int files_make_arena(int directory_fd, const struct arena_header *header)
{
    int fd, r;

    if (unlinkat(directory_fd, FILE_ARENA_NEW, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(directory_fd, FILE_ARENA_NEW, FILES_FLAGS | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return -errno;
    r = files_fill_arena(fd, header);
    if (r == 0 && renameat(directory_fd, FILE_ARENA_NEW, directory_fd, FILE_ARENA) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(directory_fd, FILE_ARENA_NEW, 0);
        close(fd);
        return r;
    }
    return fd;
}
