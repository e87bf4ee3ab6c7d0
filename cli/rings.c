/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "rings_report.h"

#include "base/identifier.h"
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static enum cli_status show(const struct rings_wish *wish)
{
    char why[INSPECT_REASON_SIZE];
    struct buffer out = BUFFER_INIT;
    struct inspect *view;
    enum cli_status status = CLI_DONE;
    int rc = inspect_open(&view, wish->path, why);
    if (rc == -ENOENT)
        return cli_fail(
            CLI_UNREACHABLE, "rings", "%s; name a node with --node, or an arena by its path", why);
    if (rc)
        return cli_fail(CLI_FAILED, "rings", "%s", why);
    rc = rings_report(&out, view, wish);
    if (rc == -ENOENT)
        status = cli_fail(CLI_FAILED, "rings", "the user \"%s\" has no ring there", wish->user);
    else if (rc)
        status = cli_fail(CLI_FAILED, "rings", "%s", strerror(-rc));
    else
        fwrite(out.data, 1, out.len, stdout);
    buffer_deinit(&out);
    inspect_free(view);
    return status;
}

struct rings_flags {
    const char *json, *all, *user, *node;
};

static enum cli_status show_as_asked(
    const struct config *config, const struct rings_flags *flags, const char *const *operands)
{
    char path[PATHS_MAX];
    const char *node = flags->node ? flags->node : config->node_name;
    struct rings_wish wish = {
        .path = operands[0] ? operands[0] : path,
        .user = flags->user,
        .json = flags->json,
        .all = flags->all,
    };
    if (operands[0] && (operands[1] || flags->node))
        return cli_fail(CLI_USAGE, "rings", "takes one path, or --node NAME");
    if (flags->node && (!cli_identifier("rings", "node", node) || strchr(node, '/')))
        return CLI_USAGE;
    if (!operands[0] && paths_arena_dir(path, node) < 0)
        return cli_fail(CLI_USAGE, "rings", "the node's name is too long");
    return show(&wish);
}

enum cli_status verb_rings(int argc, char **argv)
{
    struct rings_flags flags = {NULL, NULL, NULL, NULL};
    const struct config_flag list[] = {
        {"json", NULL, "everything, as one JSON object", &flags.json},
        {"all", NULL, "rings with nothing in them and idle slots as well", &flags.all},
        {"user", "NAME", "only this user's rings", &flags.user},
        {"node", "NAME", "the node whose arena it is; default: node.name", &flags.node},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside rings",
        .summary =
            "Looks into a node's shared memory, or a copy of it: users' rings with what they hold\n"
            "and who is writing, processes and their threads' slots, memory, counters. Reads "
            "only,\n"
            "joins nothing, and works with the broker dead. Positions are in units of 32 bytes.",
        .sections = sections,
        .flags = list,
        .operands = "[PATH]",
        .examples = "  ringside rings\n"
                    "  ringside rings --user ann\n"
                    "  ringside rings --json | jq '.rings[] | select(.claims != [])'\n"
                    "  cp -a --sparse=always /dev/shm/ringside-default /tmp/dead\n"
                    "  ringside rings /tmp/dead\n",
        .exit_statuses = "  0  shown\n"
                         "  1  what is there is damaged or of another version, or the user has no "
                         "ring\n"
                         "  2  the command line, the environment or the configuration file is "
                         "wrong\n"
                         "  3  there is no arena\n",
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = show_as_asked(&config, &flags, config.operands);
        config_deinit(&config);
    }
    return status;
}
