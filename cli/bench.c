/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {"ring", "broker", "recovery", "death"};

static void print_help(void)
{
    puts("Measures this machine. The figures drift with what else runs here; the ratios and the "
         "goals\n"
         "beside them are for comparing.\n"
         "\n"
         "Usage: ringside bench [ring|broker|recovery|death] [--json]\n"
         "\n"
         "  ring      the shared-memory rings: about half a minute, up to 2 GiB of /dev/shm\n"
         "  broker    what a broker takes in and reads back: two minutes, 4 GiB of /tmp\n"
         "  recovery  mass resumes and restarts: four minutes, 6 GiB of /tmp\n"
         "  death     a process with 200 open runs is killed: ten seconds\n"
         "\n"
         "  --json    one JSON object on the last line instead of the table\n"
         "\n"
         "Exit status:");
    fputs("  0  done\n"
          "  1  a measurement failed\n"
          "  2  the command line is wrong\n",
        stdout);
}

/* The benchmarks are programs of their own: this one becomes the one that is asked for. */
static enum cli_status become(const char *bench, const char *flag)
{
    char name[64];
    char *argv[] = {name, (char *)(uintptr_t)flag, NULL};

    snprintf(name, sizeof(name), "ringside-bench-%s", bench);
    return cli_become("bench", name, "../bench", argv);
}

/* The benchmark of this name, or NULL. */
static const char *find(const char *text)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0)
            return names[i];
    }
    return NULL;
}

enum cli_status verb_bench(int argc, char **argv)
{
    const char *bench = NULL;
    const char *flag = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return CLI_DONE;
        }
        if (strcmp(argv[i], "--json") == 0) {
            flag = "--json";
            continue;
        }
        if (bench || !(bench = find(argv[i])))
            return cli_fail(
                CLI_USAGE, "bench", "there is no \"%s\"; ringside bench --help", argv[i]);
    }
    return become(bench ? bench : names[0], flag);
}
