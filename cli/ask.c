/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include "control.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum cli_status ask_init(struct ask *ask, const char *verb, const struct config *config)
{
    ask->verb = verb;
    if (paths_run_dir(ask->run_dir, config->node_run_dir) < 0)
        return cli_fail(CLI_USAGE, verb, "the run directory's path is too long");
    return CLI_GO_ON;
}

static enum cli_status explain(const struct ask *ask, int rc, struct span why)
{
    if (rc == -EHOSTUNREACH)
        return cli_unreachable(ask->verb, ask->run_dir);
    if (rc == -EINVAL)
        return cli_fail(CLI_USAGE, ask->verb, "%.*s", SPAN_ARG(why));
    if (rc == -EOPNOTSUPP)
        return cli_fail(CLI_FAILED, ask->verb, "the broker refused: %.*s", SPAN_ARG(why));
    return cli_fail(CLI_FAILED, ask->verb, "%s", strerror(-rc));
}

static enum cli_status parse(const struct ask *ask, struct span text, json_t **ret_answer)
{
    json_t *object = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return cli_fail(CLI_FAILED, ask->verb,
            "the broker's answer is not a JSON object; is it of another version? `ringside doctor` "
            "compares them");
    }
    *ret_answer = object;
    return CLI_GO_ON;
}

enum cli_status ask_broker(
    const struct ask *ask, const char *what, json_t *argument, json_t **ret_answer)
{
    struct buffer answer = BUFFER_INIT;
    char *text = argument ? json_dumps(argument, JSON_COMPACT) : strdup("");
    int rc = text ? -EHOSTUNREACH : -ENOMEM;
    json_decref(argument);
    if (text && control_present(ask->run_dir))
        rc = control_query(&answer, ask->run_dir, what, text);
    free(text);
    enum cli_status status =
        rc ? explain(ask, rc, buffer_span(&answer)) : parse(ask, buffer_span(&answer), ret_answer);
    buffer_deinit(&answer);
    return status;
}

/* ---- pages */

static const char *name_of(const json_t *row)
{
    void *member = json_object_iter((json_t *)(uintptr_t)row);
    const char *name = member ? json_string_value(json_object_iter_value(member)) : NULL;
    return name ? name : "";
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(name_of(*(json_t *const *)a), name_of(*(json_t *const *)b));
}

static json_t *sorted(const json_t *rows)
{
    size_t count = json_array_size(rows);
    json_t *list = json_array();
    json_t **order = calloc(count + 1, sizeof(json_t *));
    if (!order) {
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = json_array_get(rows, i);
    qsort(order, count, sizeof(json_t *), compare_rows);
    for (size_t i = 0; i < count; i++)
        json_array_append(list, order[i]);
    free(order);
    return list;
}

/* Moves rows over until there are `limit`; returns whether all of them were. */
static bool take_rows(json_t *rows, const json_t *page, uint64_t limit)
{
    for (size_t i = 0; i < json_array_size(page); i++) {
        if (limit && json_array_size(rows) >= limit)
            return false;
        json_array_append(rows, json_array_get(page, i));
    }
    return true;
}

struct rows {
    json_t *list;
    uint64_t limit;
    bool more;
};

static enum cli_status collect(
    const struct ask *ask, const char *name, json_t *argument, struct rows *rows)
{
    json_t *page, *next;
    do {
        enum cli_status status = ask_broker(ask, name, json_deep_copy(argument), &page);
        if (status != CLI_GO_ON)
            return status;
        rows->more = !take_rows(rows->list, json_object_get(page, name), rows->limit);
        next = json_incref(json_object_get(page, "next"));
        json_decref(page);
        if (next)
            json_object_set_new(argument, "after", next);
    } while (next && !rows->more);
    return CLI_GO_ON;
}

enum cli_status ask_pages(
    const struct ask *ask, const char *name, json_t *argument, uint64_t limit, json_t **ret_answer)
{
    struct rows rows = {.list = json_array(), .limit = limit};
    enum cli_status status = collect(ask, name, argument, &rows);
    json_t *list = status == CLI_GO_ON ? sorted(rows.list) : NULL;
    json_decref(argument);
    json_decref(rows.list);
    if (status != CLI_GO_ON)
        return status;
    *ret_answer = json_pack("{s:o}", name, list);
    if (!*ret_answer)
        return cli_fail(CLI_FAILED, ask->verb, "%s", strerror(ENOMEM));
    if (rows.more)
        json_object_set_new(*ret_answer, "more", json_true());
    return CLI_GO_ON;
}

/* ---- showing */

static enum cli_status show_table(const struct ask *ask, const json_t *answer)
{
    struct buffer table = BUFFER_INIT;
    table_append(&table, answer);
    int rc = buffer_error(&table);
    if (!rc)
        fwrite(table.data, 1, table.len, stdout);
    buffer_deinit(&table);
    return rc ? cli_fail(CLI_FAILED, ask->verb, "%s", strerror(-rc)) : CLI_DONE;
}

enum cli_status ask_show(const struct ask *ask, json_t *answer, bool json)
{
    enum cli_status status = CLI_DONE;
    if (json) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        status = show_table(ask, answer);
    }
    json_decref(answer);
    return status;
}
