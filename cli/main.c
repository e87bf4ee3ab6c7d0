/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>
#include <unistd.h>

/* Leaves with _exit: closing nng sockets in a row can hang, and the kernel closes them as well. */
int main(int argc, char **argv)
{
    enum cli_status status = cli_run(argc, argv);
    if (fflush(stdout) != 0 && status == CLI_DONE) {
        perror("ringside: standard output");
        status = CLI_FAILED;
    }
    _exit(status);
}
