/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that shows its user what it does: it counts the files below a folder.
 *
 *   example-emitter --user ann /usr/share/doc
 */
#define _XOPEN_SOURCE 700 /* nftw */

#include <ringside.h>

#include <ftw.h>
#include <stdio.h>
#include <string.h>

static unsigned long files, folders;

static int count(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)path, (void)status, (void)where;
    files += kind == FTW_F;
    folders += kind == FTW_D;
    return 0;
}

/* The tool: real work, told as it begins and as it ends. */
static int count_tool(rs_run *run, const char *folder)
{
    rs_tool *tool;
    char result[80];
    int rc = rs_tool_begin(&tool, run, NULL, "count_files", NULL);
    if (rc)
        return rc;
    if (nftw(folder, count, 16, FTW_PHYS) < 0)
        return rs_tool_end(tool, RS_TOOL_ERROR, NULL, "unreadable", "cannot read the folder");
    snprintf(result, sizeof(result), "{\"files\":%lu,\"folders\":%lu}", files, folders);
    return rs_tool_end(tool, RS_TOOL_OK, result, NULL, NULL);
}

static int work(rs_run *run, const char *folder)
{
    char answer[80];
    int rc = rs_run_start(run);
    if (rc == RS_OK)
        rc = rs_thinking_status(run, "Looking through the folder");
    if (rc == RS_OK)
        rc = count_tool(run, folder);
    snprintf(answer, sizeof(answer), "There are %lu files in %lu folders.", files, folders);
    if (rc == RS_OK)
        rc = rs_text(run, NULL, answer, strlen(answer), NULL);
    if (rc == RS_OK)
        rc = rs_run_complete(run, RS_SUCCESS, NULL, NULL);
    return rc ? rc : rs_run_flush(run, RS_SEQUENCED, 5000);
}

int main(int argc, char **argv)
{
    rs_emitter *emitter;
    rs_run *run;
    if (argc != 4 || strcmp(argv[1], "--user") != 0) {
        fprintf(stderr, "usage: %s --user USER FOLDER\n", argv[0]);
        return 2;
    }
    int rc = rs_attach(&emitter, NULL);
    if (rc == RS_OK) {
        struct rs_run_context context = {
            .user_id = argv[2], .thread_id = "files", .agent = "file-counter"};
        rc = rs_run_open(&run, emitter, &context);
        if (rc == RS_OK) {
            rc = work(run, argv[3]);
            rs_run_free(run); /* ends the run if work() did not */
        }
        rs_detach(emitter);
    }
    if (rc)
        fprintf(stderr, "%s: %s\n", argv[0], rs_strerror(rc));
    return rc ? 1 : 0;
}
