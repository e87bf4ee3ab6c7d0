/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

/* A batch is a worker's work, in a program of its own that this one becomes. */
enum cli_status verb_batch(int argc, char **argv)
{
    (void)argc;
    return cli_become("batch", "ringside-batch", "../agent-worker", argv);
}
