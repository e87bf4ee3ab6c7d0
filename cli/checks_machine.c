/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"
#include "programs.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#define SHM_FOLDER "/dev/shm"
#define TMPFS_KIND 0x01021994
#define DESCRIPTORS_WANTED 4096
#define MIB (1024.0 * 1024.0)
/* 2024-01-01: a clock before it is not set. */
#define CLOCK_EARLIEST_MS 1704067200000ull

void check_shared_memory(struct checks *checks)
{
    struct statfs status;
    const struct config *config = checks->config;
    if (statfs(SHM_FOLDER, &status) < 0) {
        checks_add(checks, CHECK_FAIL, "shared-memory", "mount a tmpfs there: rings live in it",
            SHM_FOLDER ": %s", strerror(errno));
        return;
    }
    if (status.f_type != TMPFS_KIND)
        checks_add(checks, CHECK_WARN, "shared-memory",
            "mount a tmpfs there: rings on a disk are slow, and wear it",
            SHM_FOLDER " is no tmpfs");
    double size = (double)status.f_blocks * (double)status.f_bsize;
    double room = (double)status.f_bavail * (double)status.f_bsize;
    unsigned long long fit = (unsigned long long)(room / (double)config->ring_bytes);
    enum check_level level = fit < 64 ? CHECK_FAIL : fit < 1024 ? CHECK_WARN : CHECK_OK;
    checks_add(checks, level, "shared-memory",
        level == CHECK_OK ? NULL : "give it more (containers: --shm-size=1g), or lower ring.bytes",
        SHM_FOLDER ": %.0f of %.0f MiB free, room for %llu active users with rings of %.0f KiB",
        room / MIB, size / MIB, fit, (double)config->ring_bytes / 1024.0);
}

void check_descriptors(struct checks *checks)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    uint64_t wanted = checks->config->gateway_max_connections + 256;
    if (wanted < DESCRIPTORS_WANTED)
        wanted = DESCRIPTORS_WANTED;
    bool enough = limit.rlim_cur >= wanted;
    checks_add(checks, enough ? CHECK_OK : CHECK_WARN, "descriptors",
        enough ? NULL : "raise it (ulimit -n, LimitNOFILE=), or lower gateway.max_connections",
        "%llu file descriptors a process; gateway.max_connections wants %llu",
        (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
}

void check_clock(struct checks *checks)
{
    bool set = clock_wall_ms() >= CLOCK_EARLIEST_MS;
    checks_add(checks, set ? CHECK_OK : CHECK_FAIL, "clock",
        set ? NULL : "set it (chrony, systemd-timesyncd): tokens expire by it",
        set ? "the clock is set" : "the clock is before 2024");
}

/* The first line that `path --version` writes; false when it does not run. */
static bool read_version(const char *path, char *ret_line, size_t size)
{
    char command[PATHS_MAX + 64];
    ret_line[0] = '\0';
    if (strchr(path, '\''))
        return false;
    snprintf(
        command, sizeof(command), "exec timeout 5 '%s' --version 2>/dev/null </dev/null", path);
    FILE *pipe = popen(command, "re");
    if (!pipe)
        return false;
    bool read = fgets(ret_line, (int)size, pipe) != NULL;
    ret_line[strcspn(ret_line, "\n")] = '\0';
    return pclose(pipe) == 0 && read;
}

static void check_program(struct checks *checks, enum program_index program)
{
    char path[PATHS_MAX], line[128];
    if (program_find(path, program) < 0) {
        checks_add(checks, CHECK_FAIL, "programs", "install it beside `ringside`", "%s: not found",
            program_name(program));
    } else if (!read_version(path, line, sizeof(line))) {
        checks_add(checks, CHECK_FAIL, "programs", "run it by hand to see why; reinstall it",
            "%s: does not run", path);
    } else {
        const char *space = strrchr(line, ' ');
        bool same = space && strcmp(space + 1, RINGSIDE_VERSION) == 0;
        checks_add(checks, same ? CHECK_OK : CHECK_FAIL, "programs",
            same ? NULL : "install all programs from one release", "%s: %s%s", path, line,
            same ? "" : ", but this is ringside " RINGSIDE_VERSION);
    }
}

void check_programs(struct checks *checks)
{
    for (enum program_index i = 0; i < PROGRAM_COUNT; i++)
        check_program(checks, i);
}

/* Whether a command's first word can be run: a path, or a name in PATH. */
static bool runnable(const char *word)
{
    if (strchr(word, '/'))
        return access(word, X_OK) == 0;
    const char *path = getenv("PATH");
    char candidate[PATHS_MAX];
    while (path && *path) {
        size_t len = strcspn(path, ":");
        int used = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)len, path, word);
        if (used > 0 && (size_t)used < sizeof(candidate) && access(candidate, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* "agents/x.py" that is not there: it stayed relative, and is no address of something else. */
static const char *missing_script(const struct config_agent *agent, char *const *argv)
{
    char path[PATHS_MAX];
    for (char *const *word = argv + 1; *word; word++) {
        size_t len = strlen(*word);
        bool script = len > 3 && (strcmp(*word + len - 3, ".py") == 0);
        int used = snprintf(path, sizeof(path), "%s%s%s", (*word)[0] == '/' ? "" : agent->directory,
            (*word)[0] == '/' ? "" : "/", *word);
        if (script && used > 0 && (size_t)used < sizeof(path) && access(path, R_OK) < 0)
            return *word;
    }
    return NULL;
}

/* Not everything has a command: there are models, shared objects, and tools of applications. */
static bool check_command(struct checks *checks, const struct config_agent *agent, const char *what,
    const struct config_command *command)
{
    if (!command->argv)
        return true;
    const char *missing =
        runnable(command->argv[0]) ? missing_script(agent, command->argv) : command->argv[0];
    if (missing)
        checks_add(checks, CHECK_FAIL, "agents",
            "install it, or correct the command in the configuration file",
            "%s%s%s: %s cannot be run", agent->name, *what ? "." : "", what, missing);
    return !missing;
}

static void check_agent(struct checks *checks, const struct config_agent *agent)
{
    bool all = check_command(checks, agent, "", &agent->command);
    for (size_t i = 0; i < agent->tool_count; i++)
        all = check_command(checks, agent, agent->tools[i].name, &agent->tools[i].command) && all;
    for (size_t i = 0; i < agent->mcp_count; i++)
        all = check_command(checks, agent, agent->mcp[i].name, &agent->mcp[i].command) && all;
    if (all)
        checks_add(checks, CHECK_OK, "agents", NULL, "%s can be run (tools: %zu, MCP servers: %zu)",
            agent->name, agent->tool_count, agent->mcp_count);
}

void check_agents(struct checks *checks)
{
    const struct config *config = checks->config;
    if (config->agent_count == 0)
        checks_add(checks, CHECK_WARN, "agents",
            "name a configuration file with agents: --config examples/ringside.yaml",
            "no agents are configured");
    else if (!config_find_agent(config, span_of_string(config->broker_default_agent)))
        checks_add(checks, CHECK_WARN, "agents", "set broker.default_agent to one that is",
            "the default agent \"%s\" is not configured", config->broker_default_agent);
    for (size_t i = 0; i < config->agent_count; i++)
        check_agent(checks, &config->agents[i]);
}
