/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's start, phase by phase, and its end. */
#include "admin/admin.h"
#include "links/door_port.h"

#include "admin/metrics.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "failpoints/failpoint.h"
#include "history/sync.h"
#include "links/hand_over_port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* ---- phase: directories and the lock */

static int prepare_directory(char path[PATHS_MAX], int resolved, const char *what)
{
    int rc = resolved ? resolved : paths_make_dir(path);
    if (rc)
        log_error("start",
            "the %s directory %s cannot be used: %s; set node.%s_dir or the "
            "directory's owner and mode",
            what, resolved ? "" : path, strerror(-rc), what);
    return rc;
}

/* Sockets live here, and a socket's path has room for 107 bytes: link-<pid>-<number>.ipc needs 38.
 */
#define RUN_DIR_MAX 69
#define LOCK_LOOK_NS 1000000L
#define ASK_AGAIN_MS 500

static int check_socket_room(const struct broker *broker)
{
    if (strlen(broker->run_dir) <= RUN_DIR_MAX)
        return 0;
    log_error("start",
        "the run directory %s is too long for the sockets in it: at most %d bytes; "
        "set node.run_dir to a shorter one",
        broker->run_dir, RUN_DIR_MAX);
    return -ENAMETOOLONG;
}

static void say_who_holds(int fd, const char *path)
{
    char holder[32] = "";
    ssize_t len = pread(fd, holder, sizeof(holder) - 1, 0);
    holder[len > 0 ? strcspn(holder, "\n") : 0] = '\0';
    log_error("start",
        "another broker (pid %s) runs on this node: it holds %s; stop it, or give "
        "this one another node.name and node.run_dir",
        holder[0] ? holder : "unknown", path);
}

/* 0, or -ETIMEDOUT: the one that hands over takes too long. */
static int wait_for_lock(int fd, uint64_t until_ms)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (clock_wall_ms() > until_ms)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_LOOK_NS}, NULL);
    }
    return 0;
}

static uint64_t soon(uint64_t until_ms)
{
    uint64_t soon_ms = clock_wall_ms() + ASK_AGAIN_MS;
    return soon_ms < until_ms ? soon_ms : until_ms;
}

/*
 * One that goes at once may take its answer with it. So may one that stood still for a while: it
 * listens anew then, and loses what it was asked before. Only that one still has the lock soon
 * after, and is asked again.
 */
static int ask_until(const struct broker *broker, int fd, uint64_t until_ms, struct buffer *why)
{
    int rc = hand_over_ask(broker->run_dir, until_ms, why);
    while ((rc == -ECONNRESET || rc == -ETIMEDOUT) && clock_wall_ms() < until_ms) {
        if (wait_for_lock(fd, soon(until_ms)) == 0)
            return 0;
        rc = hand_over_ask(broker->run_dir, soon(until_ms), why);
    }
    return rc == -ECONNRESET ? -ETIMEDOUT : rc;
}

/* The lock is let go of last: what the other had is drained, committed and closed by then. */
static int take_over_lock(struct broker *broker, int fd)
{
    uint64_t limit = broker->config->broker_hand_over_timeout;
    uint64_t until_ms = clock_wall_ms() + limit;
    struct buffer why = BUFFER_INIT;
    log_info("start", "asking the running broker to hand over");
    int rc = ask_until(broker, fd, until_ms, &why);
    if (rc == -EPERM)
        log_error(
            "start", "the running broker does not hand over: %.*s", SPAN_ARG(buffer_span(&why)));
    if (rc == 0 || rc == -ETIMEDOUT)
        rc = wait_for_lock(fd, until_ms);
    if (rc == -ETIMEDOUT)
        log_error("start",
            "the running broker did not hand over within %llu ms (broker.hand_over_timeout): "
            "its log may say why; this one gives up",
            (unsigned long long)limit);
    buffer_deinit(&why);
    return rc;
}

static int take_lock(struct broker *broker, bool take_over)
{
    char path[PATHS_MAX];
    int rc = paths_join(path, broker->run_dir, "broker.lock");
    if (rc)
        return rc;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        rc = -errno;
        log_error("start", "cannot open %s: %s", path, strerror(errno));
        return rc;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = take_over ? take_over_lock(broker, fd) : -EBUSY;
        if (rc == -EBUSY)
            say_who_holds(fd, path);
        if (rc)
            return rc;
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        log_warn("start", "cannot write %s: %s", path, strerror(errno));
    broker->lock_fd = steal_fd(&fd);
    return 0;
}

/* Sockets that a dead broker left: with the lock held, nobody listens on them. */
static void remove_stale_sockets(const struct broker *broker)
{
    DIR *dir = opendir(broker->run_dir);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        bool link = strncmp(entry->d_name, "link-", 5) == 0 && len > 4 &&
                    strcmp(entry->d_name + len - 4, ".ipc") == 0;
        if (link || strcmp(entry->d_name, "broker.ipc") == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}

static int start_directories(struct broker *broker, bool take_over)
{
    const struct config *config = broker->config;
    int rc = prepare_directory(
        broker->run_dir, paths_run_dir(broker->run_dir, config->node_run_dir), "run");
    if (!rc)
        rc = check_socket_room(broker);
    if (!rc)
        rc = prepare_directory(
            broker->data_dir, paths_data_dir(broker->data_dir, config->node_data_dir), "data");
    if (!rc)
        rc = take_lock(broker, take_over);
    if (!rc)
        remove_stale_sockets(broker);
    return rc;
}

/* ---- phase: history */

static enum history_sync sync_policy(const char *name)
{
    if (strcmp(name, "always") == 0)
        return HISTORY_SYNC_ALWAYS;
    return strcmp(name, "never") == 0 ? HISTORY_SYNC_NEVER : HISTORY_SYNC_INTERVAL;
}

static void tell_damage(const struct broker *broker)
{
    struct history_usage usage;
    history_usage(broker->history, &usage);
    if (usage.damaged_batches)
        log_error("start",
            "%llu batches of the history are damaged and set aside; %llu numbers are lost with "
            "them; "
            "the rest is served. `ringside-broker --check-history %s` lists them",
            (unsigned long long)usage.damaged_batches, (unsigned long long)usage.lost,
            broker->history_dir);
}

static int start_history(struct broker *broker)
{
    const char *path = broker->history_dir;
    char reason[HISTORY_REASON_SIZE];
    int rc = paths_join(broker->history_dir, broker->data_dir, "history");
    if (rc)
        return rc;
    const struct history_options options = {.directory = path,
        .sync = sync_policy(broker->config->history_sync),
        .max_bytes = broker->config->history_max_bytes,
        .max_age_ms = broker->config->history_max_age,
        .max_events_per_user = broker->config->history_max_events_per_user,
        .max_bytes_per_user = broker->config->history_max_bytes_per_user,
        .fold_after_ms = broker->config->history_fold_after,
        .keep_records_ms = broker->config->history_keep_records,
        .journal_bytes = HISTORY_JOURNAL_BYTES};
    rc = history_open(&broker->history, &options, reason);
    if (rc)
        log_error("start", "the history in %s cannot be opened: %s", path, reason);
    else
        tell_damage(broker);
    if (!rc)
        backup_init(&broker->backup, &(struct backup_options){.loop = broker->loop,
                                         .history = broker->history,
                                         .counters = &broker->counters,
                                         .directory = path});
    return rc;
}

/* ---- phase: the arena */

static int start_arena(struct broker *broker)
{
    char path[PATHS_MAX];
    const char *reason = NULL;
    int rc = paths_arena_dir(path, broker->config->node_name);
    if (rc)
        return rc;
    const struct arena_options options = {.directory = path,
        .ring_count = ((uint32_t)broker->config->ring_count + 63) & ~63u, /* whole words of bits */
        .ring_bytes = (uint32_t)broker->config->ring_bytes,
        .first_ring_bytes = (uint32_t)broker->config->ring_first_bytes,
        .spill_bytes = (uint32_t)(broker->config->ring_spill_bytes + 4095) & ~4095u,
        .memory_bytes = broker->config->ring_memory,
        .ret_reason = &reason};
    rc = arena_create(&broker->arena, &options);
    if (rc) {
        log_error("start", "the shared memory %s cannot be used: %s (%s)", path,
            reason ? reason : "no details", strerror(-rc));
        return rc;
    }
    if (arena_outcome(broker->arena) == ARENA_REPLACED)
        log_warn("start", "the shared memory %s was replaced: %s", path, reason ? reason : "");
    return 0;
}

/* ---- phase: the parts, and what they recover */

static void on_death(void *context, const struct process_death *death)
{
    struct broker *broker = context;
    farewell_process_died(&broker->farewell, death);
}

static const struct processes_events process_events = {.on_death = on_death};

static int start_intake(struct broker *broker)
{
    users_init(&broker->users, broker->history);
    router_init(&broker->router, broker->history, &broker->counters);
    reads_init(&broker->reads, &broker->users, &broker->router);
    pipeline_init(&broker->pipeline, &(struct pipeline_options){.history = broker->history,
                                         .router = &broker->router,
                                         .counters = &broker->counters,
                                         .arena_id = arena_id(broker->arena),
                                         .snapshot_bytes = broker->config->broker_snapshot_bytes,
                                         .max_own_runs = broker->config->broker_max_own_runs});
    int rc =
        processes_new(&broker->processes, broker->loop, broker->arena, &process_events, broker);
    if (rc)
        return rc;
    return drain_new(&broker->drain,
        &(struct drain_options){.arena = broker->arena,
            .processes = broker->processes,
            .pipeline = &broker->pipeline,
            .users = &broker->users,
            .history = broker->history,
            .counters = &broker->counters,
            .max_staged = broker->config->history_max_staged,
            .user_rate = broker->config->broker_max_events_per_second_per_user,
            .worker_rate = broker->config->broker_max_events_per_second_per_worker});
}

static void make_leases(struct broker *broker)
{
    broker->leases = (struct leases){.farewell = &broker->farewell,
        .processes = broker->processes,
        .workers = &broker->workers,
        .holders = &broker->pipeline.holders,
        .counters = &broker->counters,
        .lease_ms = broker->config->broker_worker_lease,
        .kill = strcmp(broker->config->broker_kill_fenced, "always") == 0};
}

static void make_ports(struct broker *broker)
{
    workers_init(&broker->workers);
    dispatch_init(&broker->dispatch, &(struct dispatch_options){.config = broker->config,
                                         .pipeline = &broker->pipeline,
                                         .users = &broker->users,
                                         .workers = &broker->workers,
                                         .effects = &broker->effects,
                                         .counters = &broker->counters});
    farewell_init(&broker->farewell, &broker->dispatch, broker->processes, broker->drain);
    make_leases(broker);
    broker->keeping = (struct keeping){.history = broker->history,
        .drain = broker->drain,
        .effects = &broker->effects,
        .gateways = &broker->gateways,
        .counters = &broker->counters,
        .live = strcmp(broker->config->history_when_full, "live") == 0};
    broker->trimming = (struct trimming){.history = broker->history, .counters = &broker->counters};
    broker->gateways = (struct gateway_port){.users = &broker->users,
        .router = &broker->router,
        .reads = &broker->reads,
        .drain = broker->drain,
        .dispatch = &broker->dispatch,
        .history = broker->history,
        .effects = &broker->effects,
        .counters = &broker->counters};
    broker->worker_port = (struct worker_port){.workers = &broker->workers,
        .dispatch = &broker->dispatch,
        .processes = broker->processes,
        .farewell = &broker->farewell,
        .leases = &broker->leases};
    broker->router.on_watch = gateway_port_watch;
    broker->router.context = broker->drain;
    broker->ports[0] = gateway_port_link(&broker->gateways, "gateway");
    broker->ports[1] = gateway_port_link(&broker->gateways, "client");
    broker->ports[2] = worker_port_link(&broker->worker_port);
    broker->ports[3] = (struct link_port){0};
}

static int recover(struct broker *broker)
{
    const struct recovery recovery = {.history = broker->history,
        .users = &broker->users,
        .pipeline = &broker->pipeline,
        .dispatch = &broker->dispatch,
        .processes = broker->processes,
        .drain = broker->drain,
        .farewell = &broker->farewell};
    int rc = recovery_load(&recovery);
    if (rc) {
        log_error("start", "the open runs cannot be recovered: %s", strerror(-rc));
        return rc;
    }
    FAILPOINT(start_loaded);
    rc = recovery_settle(&recovery);
    FAILPOINT(start_drained);
    if (!rc)
        rc = history_commit(broker->history);
    FAILPOINT(start_committed);
    if (history_is_full(rc)) { /* it goes on by itself once there is room */
        keeping_fail(&broker->keeping, rc, clock_monotonic_ms());
        return 0;
    }
    if (rc) {
        log_error("start", "history cannot be written: %s", strerror(-rc));
        return rc;
    }
    drain_release(broker->drain);
    FAILPOINT(start_released);
    return 0;
}

/* ---- phase: ports */

static int open_door(struct broker *broker)
{
    if (!broker->door_url.port)
        return 0;
    return door_port_new(&broker->door, &(struct door_port_options){.loop = broker->loop,
                                            .config = broker->config,
                                            .broker_id = broker->id,
                                            .links = broker->links,
                                            .counters = &broker->counters,
                                            .tls = broker->door_tls});
}

static int start_ports(struct broker *broker)
{
    int rc = door_port_configure(&broker->door_url, &broker->door_tls, broker->config);
    if (rc)
        return rc;
    rc = links_new(&broker->links, &(struct links_options){.loop = broker->loop,
                                       .run_dir = broker->run_dir,
                                       .broker_id = broker->id,
                                       .counters = &broker->counters,
                                       .ports = broker->ports,
                                       .remote = &broker->door_url,
                                       .tls = broker->door_tls});
    if (rc)
        return rc;
    effects_init(&broker->effects, broker->links);
    rc = control_port_new(&broker->control, &(struct control_port_options){.loop = broker->loop,
                                                .run_dir = broker->run_dir,
                                                .broker_id = broker->id,
                                                .links = broker->links,
                                                .answer = admin_answer,
                                                .context = broker});
    if (rc)
        log_error("start", "cannot listen on %s/broker.ipc: %s", broker->run_dir, strerror(-rc));
    return rc ? rc : open_door(broker);
}

static void append_metrics(const void *context, struct buffer *out)
{
    metrics_append(context, out);
}

static const char *unready(const void *context)
{
    const struct broker *broker = context;
    if (broker->stopping)
        return "leaving\n";
    return broker->keeping.state == KEEPING_SERVING ? NULL : "history cannot be written\n";
}

/* Last, since it shows what all the others are. */
static int start_metrics(struct broker *broker)
{
    const struct config *config = broker->config;
    if (strcmp(config->broker_metrics_host, "off") == 0)
        return 0;
    const struct metrics_port_options options = {.loop = broker->loop,
        .host = config->broker_metrics_host,
        .port = (unsigned)config->broker_metrics_port,
        .append = append_metrics,
        .unready = unready,
        .context = broker};
    int rc = metrics_port_new(&broker->metrics, &options);
    if (rc)
        log_error("start",
            "cannot serve metrics on %s port %u: %s; set broker.metrics_port to another one, or 0 "
            "for any that is free, or broker.metrics_host to an address of this machine or to off",
            options.host, options.port, rc == -EINVAL ? "that is no address" : strerror(-rc));
    else
        log_info(
            "start", "metrics on %s port %u", options.host, metrics_port_number(broker->metrics));
    return rc;
}

static int start_syncing(struct broker *broker)
{
    if (strcmp(broker->config->history_sync, "never") == 0)
        return 0;
    const struct syncing_options options = {.loop = broker->loop,
        .history = broker->history,
        .drain = broker->drain,
        .interval_ms = broker->config->history_sync_interval};
    int rc = syncing_start(&broker->syncing, &options);
    if (rc)
        log_error("start", "history cannot be synced: %s", strerror(-rc));
    return rc;
}

static int start(struct broker *broker, const struct config *config, bool take_over)
{
    *broker = (struct broker){.config = config, .lock_fd = -1, .syncing = SYNCING_INIT};
    broker->started_ms = clock_monotonic_ms();
    broker->loop = ev_default_loop(0);
    identifier_make(broker->id, "b-");
    int rc = FAILPOINTS_OPEN();
    if (rc)
        log_error("start", "the failpoints cannot be used: %s", strerror(-rc));
    if (!rc)
        rc = broker->loop ? start_directories(broker, take_over) : -ENOMEM;
    FAILPOINT(start_locked);
    if (!rc)
        rc = start_history(broker);
    FAILPOINT(start_history);
    if (!rc)
        rc = start_arena(broker);
    FAILPOINT(start_arena);
    if (!rc)
        rc = start_intake(broker);
    if (!rc) {
        make_ports(broker);
        FAILPOINT(start_parts);
        rc = recover(broker);
    }
    if (!rc)
        rc = start_ports(broker);
    if (!rc)
        rc = start_metrics(broker);
    FAILPOINT(start_listening);
    if (!rc)
        rc = start_syncing(broker);
    if (!rc)
        broker_watch(broker);
    FAILPOINT(start_done);
    return rc;
}

int broker_start(struct broker *broker, const struct config *config)
{
    return start(broker, config, false);
}

int broker_take_over(struct broker *broker, const struct config *config)
{
    return start(broker, config, true);
}

static void leave_drained(struct broker *broker)
{
    drain_release(broker->drain);
    int rc = arena_settle(broker->arena);
    if (rc && rc != -EBUSY) /* busy: workers go on, for the next broker */
        log_warn("stop", "the shared memory cannot be left at rest: %s", strerror(-rc));
}

void broker_stop(struct broker *broker)
{
    FAILPOINT(stop_begun);
    if (broker->control) {
        processes_turn(broker->processes, true);
        int rc = drain_everything(broker->drain);
        FAILPOINT(stop_drained);
        if (!rc)
            rc = history_commit(broker->history);
        FAILPOINT(stop_committed);
        if (rc)
            log_error("stop", "the last events stay in the rings: %s", strerror(-rc));
        else
            leave_drained(broker);
        FAILPOINT(stop_released);
    }
    metrics_port_free(broker->metrics);
    drain_free(broker->drain);
    processes_free(broker->processes);
    if (broker->history)
        pipeline_deinit(&broker->pipeline);
    reads_deinit(&broker->reads);
    router_deinit(&broker->router);
    dispatch_deinit(&broker->dispatch);
    effects_deinit(&broker->effects);
    backup_deinit(&broker->backup);
    arena_detach(broker->arena);
    history_close(broker->history); /* waits for a sync that is under way */
    syncing_stop(&broker->syncing);
    FAILPOINT(stop_closed);
    if (broker->lock_fd >= 0)
        close(broker->lock_fd);
}
