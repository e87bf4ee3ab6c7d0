/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade.h"
#include "cli.h"
#include "folders.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* `ringside up` gives a broker a minute to start; it says in any case what became of it. */
#define PATIENCE_MS 90000
#define LOOK_EVERY_NS 10000000L
#define ANSWER_SIZE 512

int upgrade_answer(const char *run_dir, bool done, const char *text)
{
    char path[PATHS_MAX], fresh[PATHS_MAX];
    int rc = paths_join(path, run_dir, UPGRADE_FILE);
    if (!rc)
        rc = paths_join(fresh, run_dir, UPGRADE_FILE ".new");
    if (rc)
        return rc;
    FILE *file = fopen(fresh, "we");
    if (!file)
        return -errno;
    fprintf(file, "%s %s\n", done ? "done" : "failed", text);
    if (fclose(file) != 0 || rename(fresh, path) < 0)
        return -errno;
    return 0;
}

/* The answer without its newline. False while there is none. */
static bool read_answer(const char *path, char ret_text[ANSWER_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, ret_text, ANSWER_SIZE - 1);
    close(fd);
    ret_text[len > 0 ? len : 0] = '\0';
    ret_text[strcspn(ret_text, "\n")] = '\0';
    return len > 0;
}

static enum cli_status wait_for_answer(const char *path)
{
    char text[ANSWER_SIZE];
    uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (!read_answer(path, text)) {
        if (clock_monotonic_ms() > until)
            return cli_fail(
                CLI_FAILED, "upgrade", "`ringside up` says nothing; see what it prints");
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_NS}, NULL);
    }
    unlink(path);
    const char *rest = strchr(text, ' ');
    if (strncmp(text, "done ", 5) != 0)
        return cli_fail(CLI_FAILED, "upgrade", "%s", rest ? rest + 1 : text);
    puts(rest + 1);
    return CLI_DONE;
}

static enum cli_status upgrade(const struct config *config)
{
    struct folders folders;
    char why[FOLDERS_WHY_SIZE], path[PATHS_MAX];
    int pid = 0;
    if (folders_find(&folders, config, why) < 0)
        return cli_fail(CLI_FAILED, "upgrade", "%s", why);
    if (paths_join(path, folders.run_dir, UPGRADE_FILE) < 0)
        return cli_fail(CLI_FAILED, "upgrade", "%s: too long a path", folders.run_dir);
    if (!folders_locked(&folders, &pid) || pid <= 0)
        return cli_fail(CLI_UNREACHABLE, "upgrade",
            "no `ringside up` runs a node in %s; a broker started otherwise is replaced by "
            "`ringside-broker --take-over`",
            folders.run_dir);
    unlink(path);
    if (kill(pid, UPGRADE_SIGNAL) < 0)
        return cli_fail(CLI_FAILED, "upgrade", "cannot ask process %d: %s", pid, strerror(errno));
    return wait_for_answer(path);
}

enum cli_status verb_upgrade(int argc, char **argv)
{
    static const char *const sections[] = {"node", NULL};
    static const struct config_flag no_flags[] = {{.name = NULL}};
    const struct config_program program = {
        .name = "ringside upgrade",
        .summary =
            "Has the broker that is installed now take over from the one that runs, and prints\n"
            "what became of it. Workers, gateways and their clients go on; they see a pause of\n"
            "some milliseconds. When the new one cannot start, the old one goes on.",
        .sections = sections,
        .flags = no_flags,
        .exit_statuses =
            "  0  the new broker serves\n"
            "  1  it does not, and the reason was said; the old one serves\n"
            "  2  the command line, the environment or the configuration file is wrong\n"
            "  3  no `ringside up` runs here\n",
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    status = upgrade(&config);
    config_deinit(&config);
    return status;
}
