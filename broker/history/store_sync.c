/* SPDX-License-Identifier: Apache-2.0 */
#include "history/store_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * How commits become durable (store_env.c says what that is for). M is the state of the last sync,
 * N the newest when this one begins. Under `interval`, in this order:
 *
 * 1. The first two pages are copied and a second reader begins, both at N: no commit comes between,
 *    this being the thread that commits.
 * 2. The data is synced: N whole, and whatever later commits have written by then.
 * 3. The two pages are written to the state file, and synced.
 * 4. The reader at M ends; the one at N takes its place.
 *
 * A loss of power before the third step is through finds M, afterwards N. The reader at M stays
 * to the end, and so does the one at N: LMDB writes over no page of either. When a step fails the
 * anchor stays M, and so does its reader.
 *
 * The second and third step may have a thread of their own, one a sync. It has the environment
 * (only to sync it), the state file and `syncing` (but `begun` and `running`) for itself until it
 * is joined. What LMDB keeps in memory of transactions it does not touch, so commits and reads go
 * on. Without a thread to be had the steps are done at once.
 */

/* ---- the first step */

static int read_first_pages(struct store *store, struct state_slot *slot)
{
    MDB_stat stat;
    int fd;
    mdb_env_stat(store->env, &stat);
    mdb_env_get_fd(store->env, &fd);
    uint32_t size = 2 * stat.ms_psize;
    if (size > STATE_PAGES_MAX)
        return -ENOTSUP;
    slot->pages = malloc(size);
    if (!slot->pages)
        return -ENOMEM;
    ssize_t got = pread(fd, slot->pages, size, 0);
    if (got != (ssize_t)size)
        return got < 0 ? -errno : -EUCLEAN;
    slot->pages_size = size;
    return 0;
}

static int pin_newest(struct store *store)
{
    if (store->next_pin)
        return store_error(store, mdb_txn_renew(store->next_pin));
    return store_error(store, mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->next_pin));
}

static void forget_slot(struct store_syncing *syncing)
{
    free(syncing->slot.pages);
    syncing->slot = (struct state_slot){0};
}

static int prepare(struct store *store, enum store_sync_kind kind)
{
    struct store_syncing *syncing = &store->syncing;
    bool anchored = store->sync == HISTORY_SYNC_INTERVAL && kind != STORE_SYNC_CLEAN;
    if (store->sync_failed)
        return -EIO;
    syncing->notify_fd = -1;
    syncing->saves = anchored || kind != STORE_SYNC_DATA;
    syncing->slot = (struct state_slot){.sync = store->sync,
        .clean = kind == STORE_SYNC_CLEAN,
        .lost = store->lost,
        .shown = store->shown};
    state_boot_id(syncing->slot.boot_id);
    int rc = anchored ? read_first_pages(store, &syncing->slot) : 0;
    if (rc == 0 && anchored)
        rc = pin_newest(store);
    if (rc)
        forget_slot(syncing);
    return rc;
}

/* ---- the second and the third, on either thread */

static void *work(void *userdata)
{
    struct store *store = userdata;
    struct store_syncing *syncing = &store->syncing;
    int rc = mdb_env_sync(store->env, 1);
    syncing->data_failed = rc != 0;
    syncing->rc = rc > 0 ? -rc : rc < 0 ? -EIO : 0;
    if (rc == 0 && syncing->saves)
        syncing->rc = state_file_save(&store->state, &syncing->slot);
    if (syncing->notify_fd >= 0)
        (void)!write(syncing->notify_fd, &(uint64_t){1}, sizeof(uint64_t));
    return NULL;
}

/* Signals are for the thread that has the loop. */
static int start_thread(struct store *store)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&store->syncing.thread, NULL, work, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

/* ---- the fourth */

static void move_pin(struct store *store, bool durable)
{
    MDB_txn *former = store->pin;
    if (durable) {
        store->pin = store->next_pin;
        store->next_pin = former;
    }
    if (store->next_pin)
        mdb_txn_reset(store->next_pin);
}

static int finish(struct store *store)
{
    struct store_syncing *syncing = &store->syncing;
    if (syncing->data_failed)
        store->sync_failed = true;
    if (syncing->slot.pages_size)
        move_pin(store, syncing->rc == 0);
    forget_slot(syncing);
    return syncing->rc;
}

void store_sync_wait(struct store *store)
{
    if (!store->syncing.running)
        return;
    pthread_join(store->syncing.thread, NULL);
    store->syncing.running = false;
    store->syncing.rc_begun = finish(store);
}

/* ---- whole syncs */

int store_sync_now(struct store *store, enum store_sync_kind kind)
{
    store_sync_wait(store);
    int rc = prepare(store, kind);
    if (rc)
        return rc;
    work(store);
    return finish(store);
}

int store_sync(struct store *store)
{
    const char *what;
    if (!store->env)
        return store_env_open(store, &what); /* opening syncs */
    return store_sync_now(store, STORE_SYNC_DATA);
}

static int begin_open(struct store *store, int notify_fd)
{
    int rc = prepare(store, STORE_SYNC_DATA);
    if (rc)
        return rc;
    store->syncing.notify_fd = notify_fd;
    store->syncing.running = start_thread(store) == 0;
    if (!store->syncing.running) {
        work(store);
        store->syncing.rc_begun = finish(store);
    }
    return 0;
}

/* Opening syncs. */
static int begin_closed(struct store *store, int notify_fd)
{
    const char *what;
    int rc = store_env_open(store, &what);
    if (rc)
        return rc;
    store->syncing.rc_begun = 0;
    if (notify_fd >= 0)
        (void)!write(notify_fd, &(uint64_t){1}, sizeof(uint64_t));
    return 0;
}

int store_sync_begin(struct store *store, int notify_fd)
{
    if (store->syncing.begun)
        return -EBUSY;
    int rc = store->env ? begin_open(store, notify_fd) : begin_closed(store, notify_fd);
    store->syncing.begun = rc == 0;
    return rc;
}

int store_sync_end(struct store *store)
{
    store_sync_wait(store);
    store->syncing.begun = false;
    return store->syncing.rc_begun;
}

/* ---- beside them */

/* The anchor stays as it is: no sync comes between. */
int store_note_shown(struct store *store, bool shown)
{
    if (store->shown == shown)
        return 0;
    store_sync_wait(store);
    struct state_slot slot = store->state.slot;
    slot.shown = shown;
    int rc = state_file_save(&store->state, &slot);
    if (rc == 0)
        store->shown = shown;
    return rc;
}

int store_settle_loss(struct store *store)
{
    bool before = store->lost;
    store->lost = false;
    int rc = store_sync_now(store, STORE_SYNC_STATE);
    if (rc)
        store->lost = before;
    return rc;
}
