/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "programs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum cli_status cli_become(
    const char *verb, const char *program, const char *build_folder, char **argv)
{
    char path[PATHS_MAX];
    int rc = program_find_tool(path, program, build_folder);
    if (rc == -ENOENT)
        return cli_fail(
            CLI_FAILED, verb, "%s is missing; it is installed beside this program", path);
    if (rc == 0) {
        execv(path, argv);
        rc = -errno;
    }
    return cli_fail(CLI_FAILED, verb, "cannot start %s: %s", program, strerror(-rc));
}
