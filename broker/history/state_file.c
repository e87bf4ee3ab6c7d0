/* SPDX-License-Identifier: Apache-2.0 */
#include "history/state_file.h"

#include "base/cleanup.h"
#include "history/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <xxhash.h>

/*
 * slot: 0 u64 magic  8 u64 turn  16 u32 version  20 u32 flags  24 u32 sync policy
 *      28 u32 bytes of pages  32 boot id, 40 bytes, zero-filled
 *      72 u64 checksum of the bytes before and of the pages  80 the pages
 */
#define STATE_MAGIC 0x4554415453485352u /* "RSHSTATE" */
#define STATE_VERSION 1
#define STATE_CHECK_AT 72
#define STATE_HEADER_SIZE 80
#define STATE_SLOT_SIZE (STATE_PAGES_MAX + 4096)
#define STATE_FLAG_CLEAN 1u
#define STATE_FLAG_LOST 2u
#define STATE_FLAG_SHOWN 4u

void state_boot_id(char ret_id[STATE_BOOT_ID_SIZE])
{
    memset(ret_id, 0, STATE_BOOT_ID_SIZE);
    _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, ret_id, STATE_BOOT_ID_SIZE - 1);
    if (len > 0 && ret_id[len - 1] == '\n')
        ret_id[len - 1] = '\0';
}

static uint64_t slot_check(const char *bytes, uint32_t pages_size)
{
    uint64_t head = XXH3_64bits(bytes, STATE_CHECK_AT);
    return XXH3_64bits_withSeed(bytes + STATE_HEADER_SIZE, pages_size, head);
}

static int decode_slot(struct state_slot *ret_slot, const char *bytes)
{
    uint32_t pages_size = get_u32(bytes + 28);
    uint32_t sync = get_u32(bytes + 24);
    if (get_u64(bytes) != STATE_MAGIC || get_u32(bytes + 16) != STATE_VERSION ||
        pages_size > STATE_PAGES_MAX || sync > HISTORY_SYNC_NEVER ||
        slot_check(bytes, pages_size) != get_u64(bytes + STATE_CHECK_AT))
        return -EBADMSG;
    struct state_slot slot = {
        .turn = get_u64(bytes + 8),
        .sync = (enum history_sync)sync,
        .clean = get_u32(bytes + 20) & STATE_FLAG_CLEAN,
        .lost = get_u32(bytes + 20) & STATE_FLAG_LOST,
        .shown = get_u32(bytes + 20) & STATE_FLAG_SHOWN,
        .pages_size = pages_size,
    };
    memcpy(slot.boot_id, bytes + 32, STATE_BOOT_ID_SIZE - 1);
    slot.pages = malloc(pages_size + 1);
    if (!slot.pages)
        return -ENOMEM;
    memcpy(slot.pages, bytes + STATE_HEADER_SIZE, pages_size);
    *ret_slot = slot;
    return 0;
}

static void encode_slot(char *bytes, const struct state_slot *slot)
{
    put_u64(bytes, STATE_MAGIC);
    put_u64(bytes + 8, slot->turn);
    put_u32(bytes + 16, STATE_VERSION);
    put_u32(bytes + 20, (slot->clean ? STATE_FLAG_CLEAN : 0) | (slot->lost ? STATE_FLAG_LOST : 0) |
                            (slot->shown ? STATE_FLAG_SHOWN : 0));
    put_u32(bytes + 24, slot->sync);
    put_u32(bytes + 28, slot->pages_size);
    memcpy(bytes + 32, slot->boot_id, STATE_BOOT_ID_SIZE);
    if (slot->pages_size)
        memcpy(bytes + STATE_HEADER_SIZE, slot->pages, slot->pages_size);
    put_u64(bytes + STATE_CHECK_AT, slot_check(bytes, slot->pages_size));
}

/* A slot that does not decode is a torn write: the other one counts. */
static int read_newest(struct state_file *state)
{
    _cleanup_free_ char *bytes = malloc(STATE_SLOT_SIZE);
    if (!bytes)
        return -ENOMEM;
    for (int i = 0; i < 2; i++) {
        ssize_t got = pread(state->fd, bytes, STATE_SLOT_SIZE, (off_t)i * STATE_SLOT_SIZE);
        if (got < 0)
            return -errno;
        struct state_slot slot;
        int rc = got < STATE_SLOT_SIZE ? -EBADMSG : decode_slot(&slot, bytes);
        if (rc == -ENOMEM)
            return rc;
        if (rc)
            continue;
        if (slot.turn > state->slot.turn) {
            free(state->slot.pages);
            state->slot = slot;
        } else {
            free(slot.pages);
        }
    }
    return 0;
}

static int make_full_size(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size >= 2 * STATE_SLOT_SIZE)
        return 0;
    int rc = posix_fallocate(fd, 0, 2 * STATE_SLOT_SIZE);
    if (rc)
        return -rc;
    return fsync(fd) < 0 ? -errno : 0;
}

int state_file_open(struct state_file *ret_state, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    int rc = make_full_size(fd);
    if (rc)
        return rc;
    struct state_file state = {.fd = fd};
    rc = read_newest(&state);
    if (rc) {
        free(state.slot.pages);
        return rc;
    }
    steal_fd(&fd);
    *ret_state = state;
    return 0;
}

void state_file_close(struct state_file *state)
{
    free(state->slot.pages);
    if (state->fd >= 0)
        close(state->fd);
    *state = (struct state_file){.fd = -1};
}

static int write_all(int fd, const char *bytes, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t done = pwrite(fd, bytes, size, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        bytes += done;
        offset += done;
        size -= (size_t)done;
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}

int state_file_save(struct state_file *state, const struct state_slot *slot)
{
    _cleanup_free_ char *bytes = calloc(1, STATE_SLOT_SIZE);
    _cleanup_free_ char *pages = malloc(slot->pages_size + 1);
    if (!bytes || !pages || slot->pages_size > STATE_PAGES_MAX)
        return -ENOMEM;
    struct state_slot next = *slot;
    next.turn = state->slot.turn + 1;
    encode_slot(bytes, &next);
    int rc = write_all(state->fd, bytes, STATE_HEADER_SIZE + slot->pages_size,
        (off_t)(next.turn % 2) * STATE_SLOT_SIZE);
    if (rc)
        return rc;
    if (next.pages_size)
        memcpy(pages, slot->pages, slot->pages_size);
    free(state->slot.pages);
    next.pages = STEAL_POINTER(pages);
    state->slot = next;
    return 0;
}
