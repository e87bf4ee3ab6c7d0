/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which a node starts, keeps and stops its processes. Its programs are this test,
 * under the names "broker", "worker" and "gateway": each notes what it does in a log that all
 * share, and behaves as a file beside it says.
 */
#include "node.h"

#include "base/log.h"
#include "base/ready.h"
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_SECONDS 30.0

struct scene {
    char folder[64];
    struct config config;
    struct programs programs;
    struct ev_loop *loop;
    struct node *node;
    ev_timer deadline;
    ev_stat log_watch;
    unsigned lines_awaited;
    bool late;
    bool running;
    bool stopped;
    unsigned port;
    char phases[128];
    char reason[256];
    char log[8192];
};

/* ---- the programs */

struct part {
    char folder[64];
    const char *name;
};

static void note(const struct part *part, const char *what, const char *more)
{
    char path[96], line[256];
    int len = snprintf(line, sizeof(line), "%s %s%s\n", part->name, what, more);
    snprintf(path, sizeof(path), "%s/log", part->folder);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)len) != len)
        _exit(99);
    close(fd);
}

static void say_ready(const struct part *part)
{
    const char *line = strcmp(part->name, "gateway") == 0 ? "ready 4711\n" : "ready\n";
    const char *number = getenv("RINGSIDE_READY_FD");
    if (!number || write((int)strtol(number, NULL, 10), line, strlen(line)) < 0)
        _exit(98);
}

static void await_term(void)
{
    sigset_t term;
    int number;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigwait(&term, &number);
}

/* "serve", "stay", "exit", "break" or "drain": how the part's file says it behaves. */
static int behave(const struct part *part, const char *how)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/broken", part->folder);
    if (strcmp(how, "exit") == 0 || (strcmp(how, "break") == 0 && access(path, F_OK) == 0))
        return 7;
    say_ready(part);
    if (strcmp(how, "drain") == 0)
        return EXIT_DRAINED;
    if (strcmp(how, "break") == 0)
        return creat(path, 0600) < 0 ? 97 : 7;
    await_term();
    for (; strcmp(how, "stay") == 0; await_term())
        note(part, "stays", "");
    note(part, "leaves", "");
    return 0;
}

static int play(const char *path, int argc, char **argv)
{
    struct part part = {.name = strrchr(path, '/') + 1};
    char file[96], how[16] = "serve", words[160] = "";
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    snprintf(part.folder, sizeof(part.folder), "%.*s", (int)(part.name - path - 1), path);
    for (int i = 1; i < argc; i++)
        snprintf(words + strlen(words), sizeof(words) - strlen(words), " %s", argv[i]);
    snprintf(file, sizeof(file), "%s/%s.does", part.folder, part.name);
    FILE *behaviour = fopen(file, "re");
    if (behaviour && fscanf(behaviour, "%15s", how) != 1)
        return 96;
    if (behaviour)
        fclose(behaviour);
    note(&part, "starts", words);
    return behave(&part, how);
}

/* ---- the scene */

static void add_program(struct scene *scene, enum program_index program, const char *name)
{
    char path[PATHS_MAX], self[PATHS_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(len > 0);
    self[len] = '\0';
    snprintf(path, sizeof(path), "%s/%s", scene->folder, name);
    memcpy(scene->programs.paths[program], path, sizeof(path));
    assert_int_equal(symlink(self, path), 0);
}

static void set_behaviour(const struct scene *scene, const char *name, const char *how)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s.does", scene->folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(how, file);
    assert_int_equal(fclose(file), 0);
}

static int scene_setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    if (!scene)
        return -1;
    strcpy(scene->folder, "/tmp/ringside-node-XXXXXX");
    if (!mkdtemp(scene->folder))
        return -1;
    log_init("test", LOG_ERROR);
    scene->loop = ev_default_loop(0);
    scene->config.gateway_port = 4700;
    *state = scene;
    add_program(scene, PROGRAM_BROKER, "broker");
    add_program(scene, PROGRAM_WORKER, "worker");
    add_program(scene, PROGRAM_GATEWAY, "gateway");
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

static int scene_teardown(void **state)
{
    struct scene *scene = *state;
    node_free(scene->node);
    nftw(scene->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(scene);
    return 0;
}

static void on_phase(void *context, const char *group, unsigned count, uint64_t took_ms)
{
    struct scene *scene = context;
    (void)took_ms;
    size_t len = strlen(scene->phases);
    snprintf(scene->phases + len, sizeof(scene->phases) - len, "%s %u;", group, count);
}

static void on_running(void *context, unsigned port)
{
    struct scene *scene = context;
    scene->running = true;
    scene->port = port;
    ev_break(scene->loop, EVBREAK_ONE);
}

static void on_failed(void *context, const char *reason)
{
    struct scene *scene = context;
    snprintf(scene->reason, sizeof(scene->reason), "%s", reason);
}

static void on_stopped(void *context)
{
    struct scene *scene = context;
    scene->stopped = true;
    ev_break(scene->loop, EVBREAK_ONE);
}

static const struct node_events scene_events = {
    .on_phase = on_phase,
    .on_running = on_running,
    .on_failed = on_failed,
    .on_stopped = on_stopped,
};

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scene *scene = watcher->data;
    (void)events;
    scene->late = true;
    ev_break(loop, EVBREAK_ONE);
}

/* Runs until a callback above ends it. */
static void scene_run(struct scene *scene)
{
    ev_timer_init(&scene->deadline, on_deadline, DEADLINE_SECONDS, 0.);
    scene->deadline.data = scene;
    ev_timer_start(scene->loop, &scene->deadline);
    ev_run(scene->loop, 0);
    ev_timer_stop(scene->loop, &scene->deadline);
    assert_false(scene->late);
}

static void scene_start(struct scene *scene, unsigned workers, unsigned gateways)
{
    const struct node_plan plan = {&scene->config, &scene->programs, workers, gateways};
    assert_int_equal(node_new(&scene->node, scene->loop, &plan, &scene_events, scene), 0);
    scene_run(scene);
}

static void scene_stop(struct scene *scene)
{
    node_stop(scene->node);
    if (!scene->stopped)
        scene_run(scene);
    assert_true(scene->stopped);
}

static unsigned read_log(struct scene *scene)
{
    char path[96];
    unsigned lines = 0;
    snprintf(path, sizeof(path), "%s/log", scene->folder);
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(scene->log, 1, sizeof(scene->log) - 1, file) : 0;
    if (file)
        fclose(file);
    scene->log[len] = '\0';
    for (const char *at = scene->log; *at; at++)
        lines += *at == '\n';
    return lines;
}

static void on_log(struct ev_loop *loop, ev_stat *watcher, int events)
{
    struct scene *scene = watcher->data;
    (void)events;
    if (read_log(scene) >= scene->lines_awaited)
        ev_break(loop, EVBREAK_ONE);
}

/* Runs until the programs have noted that many lines. */
static void await_lines(struct scene *scene, unsigned lines)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/log", scene->folder);
    scene->lines_awaited = lines;
    ev_stat_init(&scene->log_watch, on_log, path, 0.1);
    scene->log_watch.data = scene;
    ev_stat_start(scene->loop, &scene->log_watch);
    if (read_log(scene) < lines)
        scene_run(scene);
    ev_stat_stop(scene->loop, &scene->log_watch);
}

/* ---- the tests */

static void test_node_starts_and_stops_in_order(void **state)
{
    struct scene *scene = *state;
    scene_start(scene, 2, 1);
    assert_true(scene->running);
    assert_int_equal(scene->port, 4700);
    assert_string_equal(scene->phases, "broker 1;workers 2;gateways 1;");
    scene_stop(scene);
    read_log(scene);
    assert_string_equal(scene->log, "broker starts\n"
                                    "worker starts\n"
                                    "worker starts\n"
                                    "gateway starts --gateway-port 4700\n"
                                    "gateway leaves\n"
                                    "worker leaves\n"
                                    "worker leaves\n"
                                    "broker leaves\n");
}

static void test_configuration_file_is_handed_on(void **state)
{
    struct scene *scene = *state;
    scene->config.file = (char *)(uintptr_t) "/etc/some.yaml";
    scene_start(scene, 1, 0);
    assert_int_equal(scene->port, 0);
    read_log(scene);
    assert_string_equal(scene->log,
        "broker starts --config /etc/some.yaml\nworker starts --config /etc/some.yaml\n");
    scene_stop(scene);
}

static void test_gateways_agree_on_the_port_the_first_found(void **state)
{
    struct scene *scene = *state;
    scene->config.gateway_port = 0;
    scene_start(scene, 0, 3);
    assert_int_equal(scene->port, 4711);
    read_log(scene);
    assert_string_equal(scene->log, "broker starts\n"
                                    "gateway starts --gateway-port 0\n"
                                    "gateway starts --gateway-port 4711\n"
                                    "gateway starts --gateway-port 4711\n");
    scene_stop(scene);
}

static void test_phase_that_fails_ends_the_start(void **state)
{
    struct scene *scene = *state;
    set_behaviour(scene, "worker", "exit");
    scene_start(scene, 1, 1);
    assert_true(scene->stopped);
    assert_false(scene->running);
    assert_string_equal(scene->reason, "worker-1 ended with status 7 before it was ready");
    read_log(scene);
    assert_string_equal(scene->log, "broker starts\nworker starts\nbroker leaves\n");
}

static void test_child_that_keeps_ending_is_started_again_and_again(void **state)
{
    struct scene *scene = *state;
    set_behaviour(scene, "worker", "break");
    scene_start(scene, 1, 0);
    await_lines(scene, 5);
    assert_string_equal(scene->log, "broker starts\n"
                                    "worker starts\n"
                                    "worker starts\n"
                                    "worker starts\n"
                                    "worker starts\n");
    scene_stop(scene);
}

static void test_child_that_was_drained_is_not_started_again(void **state)
{
    struct scene *scene = *state;
    set_behaviour(scene, "worker", "drain");
    set_behaviour(scene, "gateway", "break");
    scene_start(scene, 1, 1);
    await_lines(scene, 6); /* the gateway is started again and again meanwhile */
    const char *first = strstr(scene->log, "worker starts");
    assert_non_null(first);
    assert_null(strstr(first + 1, "worker starts"));
    scene_stop(scene);
}

static void test_second_stop_kills_what_does_not_leave(void **state)
{
    struct scene *scene = *state;
    set_behaviour(scene, "worker", "stay");
    scene_start(scene, 1, 0);
    node_stop(scene->node);
    await_lines(scene, 3);
    assert_string_equal(scene->log, "broker starts\nworker starts\nworker stays\n");
    assert_false(scene->stopped);
    scene_stop(scene);
}

int main(int argc, char **argv)
{
    static const char *const parts[] = {"/broker", "/worker", "/gateway"};
    const char *name = strrchr(argv[0], '/');
    for (size_t i = 0; name && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(name, parts[i]) == 0)
            return play(argv[0], argc, argv);
    }
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_node_starts_and_stops_in_order),
        CASE(test_configuration_file_is_handed_on),
        CASE(test_gateways_agree_on_the_port_the_first_found),
        CASE(test_phase_that_fails_ends_the_start),
        CASE(test_child_that_keeps_ending_is_started_again_and_again),
        CASE(test_child_that_was_drained_is_not_started_again),
        CASE(test_second_stop_kills_what_does_not_leave),
    };
    return cmocka_run_group_tests_name("cli-node", tests, NULL, NULL);
}
