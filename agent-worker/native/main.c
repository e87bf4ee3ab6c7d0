/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of a native agent. The worker starts it; nobody else needs to:
 *
 *   ringside-agent-native LIBRARY           serves runs on stdin and stdout
 *   ringside-agent-native --check LIBRARY   the settings on stdin: status 0, or 1 and why on stdout
 */
#include "native/library.h"
#include "native/run.h"

#include "base/json.h"
#include "base/json_scan.h"

#include <stdio.h>
#include <string.h>

static int check(const struct ra_agent *agent)
{
    struct buffer settings = BUFFER_INIT;
    ssize_t got;
    do {
        char *room = buffer_reserve(&settings, 4096);
        got = room ? read(STDIN_FILENO, room, 4096) : -1;
        settings.len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    buffer_append_char(&settings, '\0');
    const char *problem = "its settings could not be read";
    if (got == 0 && !buffer_error(&settings))
        problem = agent->check ? agent->check(settings.data) : NULL;
    if (problem)
        printf("its settings: %s\n", problem);
    buffer_deinit(&settings);
    return problem ? 1 : 0;
}

static int serve(const struct ra_agent *agent)
{
    struct native_link link;
    struct buffer who = BUFFER_INIT;
    bool named = utf8_valid(span_of_string(agent->name));
    buffer_append_char(&who, '{');
    json_append_member(&who, "name", named ? span_of_string(agent->name) : SPAN_LITERAL("?"));
    buffer_append_char(&who, '}');
    buffer_append_char(&who, '\0');
    int rc = buffer_error(&who) ? -1 : native_link_init(&link, who.data);
    if (rc) {
        fprintf(stderr, "the line to the worker cannot be set up: %s\n", strerror(-rc));
        return 1;
    }
    native_serve(&link, agent);
    return 0;
}

int main(int argc, char **argv)
{
    bool checks = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 && !checks) {
        fputs("usage: ringside-agent-native [--check] LIBRARY\n"
              "A worker starts this for an agent of kind native; see docs/agents.md.\n",
            stderr);
        return 2;
    }
    const struct ra_agent *agent = native_library_load(argv[argc - 1]);
    if (!agent)
        return 1;
    fflush(stdout);
    int status = checks ? check(agent) : serve(agent);
    fflush(stdout);
    _exit(status); /* the thread that reads may still stand in a read */
}
