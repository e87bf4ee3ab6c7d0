/* SPDX-License-Identifier: Apache-2.0 */
#include "config-test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

static void clear_variables(void)
{
    bool found = true;
    while (found) {
        found = false;
        for (char **entry = environ; *entry && !found; entry++) {
            if (strncmp(*entry, "RINGSIDE_", 9) != 0)
                continue;
            char name[128];
            snprintf(name, sizeof(name), "%.*s", (int)strcspn(*entry, "="), *entry);
            unsetenv(name);
            found = true;
        }
    }
}

int sandbox_setup(void **state)
{
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (!sandbox)
        return -1;
    clear_variables();
    strcpy(sandbox->folder, "/tmp/ringside-config-XXXXXX");
    if (!mkdtemp(sandbox->folder))
        return -1;
    snprintf(sandbox->path, sizeof(sandbox->path), "%s/node.yaml", sandbox->folder);
    *state = sandbox;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

int sandbox_teardown(void **state)
{
    struct sandbox *sandbox = *state;
    clear_variables();
    nftw(sandbox->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    config_deinit(&sandbox->config);
    free(sandbox);
    return 0;
}

void sandbox_write(struct sandbox *sandbox, const char *name, const char *text)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", sandbox->folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static const struct config_program *test_program(void)
{
    static const char *const sections[] = {"node", "gateway", NULL};
    static const struct config_program program = {
        .name = "ringside-test",
        .summary = "Tests.",
        .sections = sections,
    };
    return &program;
}

/* Has stderr written to a file meanwhile, whose bytes become `said`. */
static void load_and_listen(struct sandbox *sandbox, int argc, char **argv)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/said", sandbox->folder);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && saved >= 0);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    config_deinit(&sandbox->config);
    sandbox->action = config_load(&sandbox->config, test_program(), argc, argv);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t len = pread(file, sandbox->said, sizeof(sandbox->said) - 1, 0);
    close(file);
    assert_true(len >= 0);
    sandbox->said[len] = '\0';
}

void sandbox_load(struct sandbox *sandbox, const char *yaml, const char *const *flags)
{
    char *argv[16] = {(char *)(uintptr_t) "ringside-test"};
    int argc = 1;
    if (yaml) {
        sandbox_write(sandbox, "node.yaml", yaml);
        argv[argc++] = (char *)(uintptr_t) "--config";
        argv[argc++] = sandbox->path;
    }
    for (; flags && *flags; flags++)
        argv[argc++] = (char *)(uintptr_t)*flags;
    load_and_listen(sandbox, argc, argv);
}

void assert_said(const struct sandbox *sandbox, const char *text)
{
    assert_int_equal(sandbox->action, CONFIG_EXIT_USAGE);
    if (!strstr(sandbox->said, text))
        fail_msg("expected \"%s\" in:\n%s", text, sandbox->said);
}

void assert_said_at(const struct sandbox *sandbox, unsigned line, const char *text)
{
    char expected[512];
    snprintf(expected, sizeof(expected), "ringside-test: %s:%u: %s", sandbox->path, line, text);
    assert_said(sandbox, expected);
}

unsigned sandbox_lines_said(const struct sandbox *sandbox)
{
    unsigned lines = 0;
    for (const char *at = sandbox->said; *at; at++)
        lines += *at == '\n';
    return lines;
}
