/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_FD 3

void server_flags(
    struct server_flags *ret_flags, const struct bench_page *page, unsigned number, uint32_t rings)
{
    char(*text)[256] = ret_flags->text;

    snprintf(text[0], sizeof text[0], "--node-run-dir=%s/%u/run", page->scratch, number);
    snprintf(text[1], sizeof text[1], "--node-data-dir=%s/%u", page->scratch, number);
    snprintf(text[2], sizeof text[2], "--node-name=%s-%u",
        strrchr(page->directory, '/') + sizeof "ringside-", number);
    snprintf(text[3], sizeof text[3], "--ring-count=%u", (unsigned)rings);
    snprintf(text[4], sizeof text[4], "--broker-max-events-per-second-per-user=%u",
        (unsigned)page->user_rate);
    snprintf(text[5], sizeof text[5], "--broker-max-events-per-second-per-worker=0");
    snprintf(text[6], sizeof text[6], "--broker-metrics-host=off");
}

/* Beside this program, where it is installed, else where it was built. */
static void find_program(char ret_path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    bench_need(length < 0 ? -errno : 0, "/proc/self/exe");
    self[length] = '\0';
    dirname(self);
    snprintf(ret_path, PATH_MAX, "%.4000s/ringside-broker", self);
    if (access(ret_path, X_OK) == 0)
        return;
    snprintf(ret_path, PATH_MAX, "%.4000s/../broker/ringside-broker", self);
    bench_need(access(ret_path, X_OK) < 0 ? -errno : 0, ret_path);
}

void server_start(struct server *ret_server, const struct server_flags *flags)
{
    static char ready[] = "RINGSIDE_READY_FD=3", level[] = "RINGSIDE_NODE_LOG_LEVEL=error",
                metrics[] = "RINGSIDE_BROKER_METRICS_HOST=off"; /* whatever else runs here */
    char path[PATH_MAX];
    char *argv[SERVER_FLAGS + 2] = {path};
    char *environment[] = {ready, level, metrics, NULL};
    int ends[2];

    find_program(path);
    for (int i = 0; i < SERVER_FLAGS; i++)
        argv[1 + i] = (char *)(uintptr_t)flags->text[i];
    bench_need(pipe(ends) < 0 ? -errno : 0, "pipe");
    ret_server->pid = fork();
    bench_need(ret_server->pid < 0 ? -errno : 0, "fork");
    if (ret_server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(ends[1], READY_FD) >= 0) {
            closefrom(READY_FD + 1);
            execve(path, argv, environment);
        }
        _exit(127);
    }
    close(ends[1]);
    ret_server->ready = ends[0];
}

void server_wait_ready(struct server *server)
{
    char line[16];
    ssize_t length = read(server->ready, line, sizeof line);

    bench_need(length < 0 ? -errno : length == 0 ? -ECHILD : 0, "the broker does not start");
    close(server->ready);
}

void server_kill(struct server *server)
{
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int64_t server_cpu_ns(const struct server *server)
{
    struct timespec used;
    clockid_t clock;

    bench_need(-clock_getcpuclockid(server->pid, &clock), "clock_getcpuclockid");
    clock_gettime(clock, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}
