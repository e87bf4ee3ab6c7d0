/* SPDX-License-Identifier: Apache-2.0 */
#include "history/journal.h"

#include "base/cleanup.h"
#include "base/identifier.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define JOURNAL_MOST (64u << 20)

static int read_all(int fd, size_t size, struct buffer *out)
{
    char *room = buffer_reserve(out, size);
    if (!room)
        return -ENOMEM;
    while (out->len < size) {
        ssize_t got = pread(fd, out->data + out->len, size - out->len, (off_t)out->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        out->len += (size_t)got;
    }
    return 0;
}

/* Also of one that has it: a copy of the file may have holes. A disk that is full has no room for
 * it, which is told by having none. */
static int make_full_size(int *fd, uint32_t size)
{
    int rc = posix_fallocate(*fd, 0, (off_t)size);
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG) {
        close(*fd);
        *fd = -1;
        return 0;
    }
    return -rc;
}

/* Whether what has its blocks is written into those blocks for ever. Not so where a copy may come
 * to share them, as on XFS or Btrfs: overwriting takes room there. */
static bool overwrites_in_place(int fd)
{
    struct statfs status;
    if (fstatfs(fd, &status) < 0)
        return false;
    return status.f_type == EXT4_SUPER_MAGIC || status.f_type == TMPFS_MAGIC;
}

/* Or it is written to. */
static void map_memory(struct journal *journal)
{
    if (!overwrites_in_place(journal->fd))
        return;
    void *map = mmap(
        NULL, journal->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, journal->fd, 0);
    journal->map = map == MAP_FAILED ? NULL : map;
}

int journal_open(
    struct journal *journal, const char *directory, uint32_t size, struct buffer *ret_bytes)
{
    char path[PATHS_MAX];
    int rc = paths_join(path, directory, "journal");
    if (rc)
        return rc;
    _cleanup_close_ int fd =
        open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (size ? O_CREAT : 0), 0600);
    if (fd < 0)
        return errno == ENOENT || errno == ENOSPC ? 0 : -errno;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    size_t has = status.st_size < JOURNAL_MOST ? (size_t)status.st_size : JOURNAL_MOST;
    rc = read_all(fd, has, ret_bytes);
    journal->size = has > size ? (uint32_t)has : size;
    if (!rc && size)
        rc = make_full_size(&fd, journal->size);
    if (rc)
        return rc;
    journal->fd = steal_fd(&fd);
    if (journal->fd >= 0 && size)
        map_memory(journal);
    journal_begin(journal);
    return 0;
}

void journal_close(struct journal *journal)
{
    if (journal->map)
        munmap(journal->map, journal->size);
    if (journal->fd >= 0)
        close(journal->fd);
    *journal = JOURNAL_INIT;
}

int journal_void(struct journal *journal)
{
    static const char nothing[FRAME_HEADER_SIZE];
    journal_begin(journal);
    if (journal->fd < 0)
        return 0;
    ssize_t done = pwrite(journal->fd, nothing, sizeof(nothing), 0);
    return done == (ssize_t)sizeof(nothing) ? 0 : done < 0 ? -errno : -EIO;
}

void journal_begin(struct journal *journal)
{
    journal->used = 0;
    random_bytes(&journal->former, sizeof(journal->former));
}

static struct iovec part(struct span span)
{
    return (struct iovec){(void *)(uintptr_t)span.data, span.len};
}

static int write_parts(struct journal *journal, const struct iovec *parts, int count, size_t size)
{
    ssize_t done = pwritev(journal->fd, parts, count, journal->used);
    return done == (ssize_t)size ? 0 : done < 0 ? -errno : -EIO;
}

/* Killed on the way, what is there is no frame: its checksum says so. */
static void copy_parts(struct journal *journal, const struct iovec *parts, int count)
{
    char *to = journal->map + journal->used;
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len)
            to = mempcpy(to, parts[i].iov_base, parts[i].iov_len);
}

int journal_add(struct journal *journal, struct frame_input *input)
{
    char header[FRAME_HEADER_SIZE];
    size_t size = frame_size(input);
    if (journal->fd < 0 || size > journal->size - journal->used)
        return -ENOBUFS;
    input->former = journal->former;
    uint64_t check = frame_write_header(header, input);
    const struct iovec parts[] = {{header, sizeof(header)}, part(input->sections),
        part(input->entries), part(input->data), part(input->notes)};
    int rc = 0;
    if (journal->map)
        copy_parts(journal, parts, 5);
    else
        rc = write_parts(journal, parts, 5, size);
    if (rc)
        return rc;
    journal->used += (uint32_t)size;
    journal->former = check;
    return 0;
}

int journal_take(
    struct journal *journal, struct frame *ret_frame, struct span bytes, uint64_t batch)
{
    struct frame frame;
    struct span rest = span_of(bytes.data + journal->used, bytes.len - journal->used);
    if (frame_open(&frame, rest) || frame.batch != batch ||
        (journal->used && frame.former != journal->former))
        return 0;
    journal->used += (uint32_t)frame.size;
    journal->former = frame.check;
    *ret_frame = frame;
    return 1;
}
