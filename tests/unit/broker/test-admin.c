/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator asks a broker, and what the broker does for it. A whole broker, in this
 * process. */
#include "admin/admin.h"
#include "broker-test.h"

#include "base/cleanup.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MANY 3000

static struct broker broker;
static struct config config;
static char directory[64];

/* ---- the broker */

static void set(const char *name, const char *folder)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, folder);
    setenv(name, path, 1);
}

static int start_broker(void **state)
{
    (void)state;
    char name[32], *argv[] = {(char[]){"test"}, NULL};
    static const struct config_program program = {.name = "test", .summary = ""};
    strcpy(directory, "/tmp/ringside-admin-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(name, sizeof(name), "admin-%d", (int)getpid());
    setenv("RINGSIDE_NODE_NAME", name, 1);
    setenv("RINGSIDE_BROKER_METRICS_HOST", "off", 1);
    unsetenv("RINGSIDE_CONFIG");
    set("RINGSIDE_NODE_RUN_DIR", "run");
    set("RINGSIDE_NODE_DATA_DIR", "data");
    if (config_load(&config, &program, 1, argv) != CONFIG_RUN)
        return -1;
    return broker_start(&broker, &config);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

static int stop_broker(void **state)
{
    (void)state;
    char arena[PATHS_MAX];
    arena_unlink(broker.arena);
    broker_stop(&broker);
    if (paths_arena_dir(arena, config.node_name) == 0)
        nftw(arena, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    config_deinit(&config);
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A program's own run, as its first event brings it. */
static void begin_run(const char *user_id, const char *run_id)
{
    const struct origin origin = {.process = 1, .incarnation = 1};
    struct event event = {.type = EVENT_AGENT_STARTED,
        .timestamp = 1,
        .thread_id = SPAN_LITERAL("t-1"),
        .run_id = span_of_string(run_id),
        .agent = SPAN_LITERAL("librarian"),
        .data = SPAN_LITERAL("{\"agent\":\"librarian\"}")};
    struct user *user = users_get(&broker.users, span_of_string(user_id));
    assert_non_null(user);
    event.user_tag = user->tag;
    assert_int_equal(pipeline_push(&broker.pipeline, user, &event, &origin), VERDICT_LEGAL);
}

/* ---- asking */

static struct control_refusal refusal;

static json_t *ask(const char *what, const char *argument)
{
    struct buffer out = BUFFER_INIT;
    json_t *answer = NULL;
    refusal = (struct control_refusal){NULL, NULL};
    if (admin_answer(&broker, span_of_string(what), span_of_string(argument), &out, &refusal)) {
        answer = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_is_object(answer));
        assert_true(out.len < 1u << 20);
    }
    buffer_deinit(&out);
    return answer;
}

static void assert_refused(const char *what, const char *argument, const char *code)
{
    assert_null(ask(what, argument));
    assert_string_equal(refusal.code, code);
    assert_true(refusal.message && refusal.message[0]);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static json_int_t number_of(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

/* Reads a list to its end; each row's `key` once. Returns how many pages that took. */
static size_t read_list(json_t *names, const char *what, const char *filter, const char *key)
{
    char argument[256], after[32] = "";
    size_t pages = 0;
    do {
        snprintf(argument, sizeof(argument), "{%s%s%s%s%s}", filter, *filter && *after ? "," : "",
            *after ? "\"after\":\"" : "", after, *after ? "\"" : "");
        json_t *page = ask(what, argument);
        assert_non_null(page);
        const json_t *rows = json_object_get(page, what);
        assert_true(json_array_size(rows) <= ADMIN_PAGE_ROWS + 64);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const char *name = text_of(json_array_get(rows, i), key);
            assert_null(json_object_get(names, name));
            json_object_set_new(names, name, json_true());
        }
        const char *next = text_of(page, "next");
        snprintf(after, sizeof(after), "%s", next ? next : "");
        json_decref(page);
        pages++;
    } while (*after);
    return pages;
}

/* ---- lists */

static void test_many_users_come_in_pages_each_once(void **state)
{
    (void)state;
    char id[32];
    json_t *names = json_object();
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "many-%d", i);
        assert_non_null(users_get(&broker.users, span_of_string(id)));
    }
    assert_true(read_list(names, "users", "", "user_id") >= MANY / (ADMIN_PAGE_ROWS + 64));
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "many-%d", i);
        assert_non_null(json_object_get(names, id));
    }
    json_decref(names);
}

static void test_runs_are_listed_by_state_user_and_agent(void **state)
{
    (void)state;
    char user[32], run[32];
    for (int i = 0; i < 600; i++) {
        snprintf(user, sizeof(user), "runs-%d", i % 200);
        snprintf(run, sizeof(run), "r-list-%d", i);
        begin_run(user, run);
    }
    const struct {
        const char *filter;
        size_t rows;
    } cases[] = {
        {"", 600},
        {"\"state\":\"running\"", 600},
        {"\"state\":\"queued\"", 0},
        {"\"user\":\"runs-7\"", 3},
        {"\"agent\":\"librarian\"", 600},
        {"\"agent\":\"nobody\"", 0},
        {"\"user\":\"runs-7\",\"state\":\"running\",\"agent\":\"librarian\"", 3},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *names = json_object();
        size_t pages = read_list(names, "runs", cases[i].filter, "run_id");
        assert_int_equal(json_object_size(names), cases[i].rows);
        assert_true(pages >= cases[i].rows / (ADMIN_PAGE_ROWS + 64));
        json_decref(names);
    }
}

static void test_a_page_looks_at_no_more_rows_than_it_may(void **state)
{
    (void)state;
    char id[32];
    for (int i = 0; i < 2 * ADMIN_PAGE_LOOKS; i++) {
        snprintf(id, sizeof(id), "r-look-%d", i);
        begin_run("looker", id);
    }
    json_t *page = ask("runs", "{\"agent\":\"nobody\"}");
    assert_int_equal(json_array_size(json_object_get(page, "runs")), 0);
    assert_non_null(text_of(page, "next"));
    json_decref(page);
}

static void test_lists_of_parts_are_empty_without_any(void **state)
{
    (void)state;
    static const char *const lists[] = {"workers", "gateways", "agents"};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        json_t *answer = ask(lists[i], "");
        assert_int_equal(json_array_size(json_object_get(answer, lists[i])), 0);
        json_decref(answer);
    }
}

/* ---- details */

static void test_an_open_run_is_shown(void **state)
{
    (void)state;
    begin_run("shown", "r-shown");
    json_t *run = ask("run", "{\"run_id\":\"r-shown\"}");
    assert_string_equal(text_of(run, "user_id"), "shown");
    assert_string_equal(text_of(run, "state"), "running");
    assert_true(json_is_false(json_object_get(run, "ended")));
    assert_int_equal(number_of(run, "first_seq"), 1);
    json_decref(run);
}

static void test_a_user_is_shown_with_open_runs(void **state)
{
    (void)state;
    begin_run("detail", "r-detail");
    assert_return_code(history_commit(broker.history), 0);
    json_t *user = ask("user", "{\"user\":\"detail\"}");
    assert_int_equal(number_of(user, "head"), 1);
    assert_int_equal(number_of(user, "oldest"), 1);
    assert_int_equal(number_of(user, "runs"), 1);
    assert_int_equal(json_array_size(json_object_get(user, "open_runs")), 1);
    json_decref(user);
}

/* ---- refusals */

static void test_what_makes_no_sense_or_is_not_there_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused("dance", "", "unknown_query");
    assert_refused("runs", "{", "invalid_argument");
    assert_refused("runs", "[]", "invalid_argument");
    assert_refused("runs", "{\"user\":\"a\",\"user\":\"b\"}", "invalid_argument");
    assert_refused("runs", "{\"user\":7}", "invalid_argument");
    assert_refused("runs", "{\"state\":\"flying\"}", "invalid_argument");
    assert_refused("runs", "{\"after\":\"x\"}", "invalid_argument");
    assert_refused("runs", "{\"after\":\"\"}", "invalid_argument");
    assert_refused("users", "{\"after\":\"1 2\"}", "invalid_argument");
    assert_refused("run", "", "invalid_argument");
    assert_refused("run", "{\"run_id\":\"two words\"}", "invalid_argument");
    assert_refused("run", "{\"run_id\":\"r-none\"}", "run_not_found");
    assert_refused("user", "{\"user\":\"nobody\"}", "user_not_found");
    assert_refused("kick", "{\"user\":\"nobody\"}", "user_not_found");
    assert_refused("drain", "{\"part\":\"worker-0\"}", "part_not_found");
    assert_null(map_get(&broker.users.map, SPAN_LITERAL("nobody"))); /* asking makes nobody */
}

/* ---- actions */

static void test_pausing_is_answered_with_how_it_stands(void **state)
{
    (void)state;
    json_t *answer = ask("pause", "");
    assert_true(json_is_true(json_object_get(answer, "paused")));
    assert_true(broker.dispatch.paused);
    json_decref(answer);
    answer = ask("resume", "");
    assert_true(json_is_false(json_object_get(answer, "paused")));
    assert_false(broker.dispatch.paused);
    json_decref(answer);
}

static void test_a_kick_is_counted_once(void **state)
{
    (void)state;
    uint64_t before = broker.counters.users_kicked;
    assert_non_null(users_get(&broker.users, SPAN_LITERAL("kicked")));
    json_t *answer = ask("kick", "{\"user\":\"kicked\"}");
    assert_int_equal(number_of(answer, "told"), 0);
    json_decref(answer);
    assert_counted(broker.counters.users_kicked - before, 1);
}

static void test_a_turn_is_counted_once(void **state)
{
    (void)state;
    uint64_t before = broker.counters.ticks;
    broker_tick(&broker);
    assert_counted(broker.counters.ticks - before, 1);
}

static void test_draining_the_broker_ends_its_loop(void **state)
{
    (void)state;
    json_t *answer = ask("drain", "{\"part\":\"broker\"}");
    assert_int_equal(number_of(answer, "pid"), getpid());
    assert_true(broker.stopping && broker.for_good);
    json_decref(answer);
    json_decref(ask("drain", "{\"part\":\"broker\",\"restart\":true}"));
    assert_true(broker.stopping && !broker.for_good);
    broker_run(&broker); /* returns at once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_users_come_in_pages_each_once),
        cmocka_unit_test(test_runs_are_listed_by_state_user_and_agent),
        cmocka_unit_test(test_a_page_looks_at_no_more_rows_than_it_may),
        cmocka_unit_test(test_lists_of_parts_are_empty_without_any),
        cmocka_unit_test(test_an_open_run_is_shown),
        cmocka_unit_test(test_a_user_is_shown_with_open_runs),
        cmocka_unit_test(test_what_makes_no_sense_or_is_not_there_is_refused_by_name),
        cmocka_unit_test(test_pausing_is_answered_with_how_it_stands),
        cmocka_unit_test(test_a_kick_is_counted_once),
        cmocka_unit_test(test_a_turn_is_counted_once),
        cmocka_unit_test(test_draining_the_broker_ends_its_loop),
    };
    int failed = cmocka_run_group_tests_name("broker-admin", tests, start_broker, stop_broker);
    fflush(NULL);
    _exit(failed); /* as the broker: closing its sockets in a row can hang */
}
