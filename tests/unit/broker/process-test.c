/* SPDX-License-Identifier: Apache-2.0 */
#include "process-test.h"

#include "base/cleanup.h"
#include "event/record.h"
#include "ring/writer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum order_kind {
    ORDER_EMIT,
    ORDER_CLAIM,
    ORDER_COMMIT,
    ORDER_LEAVE,
};

struct order {
    enum order_kind kind;
    int status;
    char user[IDENTIFIER_SIZE];
    size_t len;
    char record[2048];
};

/* ---- in the child: any failure ends it, which the parent sees as a missing answer */

struct body {
    struct arena *arena;
    struct ring_writer writer;
    struct ring_claim claim;
};

static int claim_room(struct body *body, const struct order *order)
{
    struct ring_lease lease;
    int rc = ring_lease_for_user(&lease, &body->writer, order->user, strlen(order->user));
    if (!rc)
        rc = ring_reserve(&body->claim, &body->writer, &lease, (uint32_t)order->len);
    if (!rc)
        memcpy(body->claim.payload, order->record, order->len);
    return rc;
}

static int obey(struct body *body, const struct order *order)
{
    int rc = 0;
    if (order->kind == ORDER_LEAVE)
        _exit(order->status);
    if (order->kind == ORDER_EMIT || order->kind == ORDER_CLAIM)
        rc = claim_room(body, order);
    if (!rc && (order->kind == ORDER_EMIT || order->kind == ORDER_COMMIT))
        rc = ring_commit(&body->writer, &body->claim);
    return rc;
}

/* Orders on descriptor 0, answers on 1. The parent's locks are not for its child to hold. */
static _Noreturn void child_main(const char *directory, const int ends[2])
{
    struct body body = {0};
    struct order order;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(ends[0], 0) < 0 || dup2(ends[1], 1) < 0 || close_range(3, ~0u, 0) < 0)
        _exit(99);
    if (arena_attach(&body.arena, directory) < 0 || ring_writer_init(&body.writer, body.arena) < 0)
        _exit(99);
    uint32_t index = arena_process_index(body.arena);
    if (write(1, &index, sizeof(index)) != sizeof(index))
        _exit(99);
    while (read(0, &order, sizeof(order)) == sizeof(order)) {
        int rc = obey(&body, &order);
        if (write(1, &rc, sizeof(rc)) != sizeof(rc))
            break;
    }
    _exit(99);
}

/* ---- in the parent */

static void learn_incarnation(struct child *child, struct fixture *f)
{
    struct process_info info;
    for (uint32_t cursor = 0; process_next(&info, f->arena, &cursor);) {
        if (info.index == child->index)
            child->incarnation = info.incarnation;
    }
    assert_int_not_equal(child->incarnation, 0);
}

void child_start(struct child *ret_child, struct fixture *f)
{
    char path[PATHS_MAX];
    int orders[2];
    int answers[2];
    assert_return_code(paths_join(path, f->directory, "arena"), 0);
    assert_return_code(pipe(orders), 0);
    assert_return_code(pipe(answers), 0);
    *ret_child = (struct child){.orders = orders[1], .answers = answers[0]};
    ret_child->pid = fork();
    assert_return_code(ret_child->pid, 0);
    if (ret_child->pid == 0)
        child_main(path, (const int[]){orders[0], answers[1]});
    close(orders[0]);
    close(answers[1]);
    assert_int_equal(read(ret_child->answers, &ret_child->index, sizeof(uint32_t)), 4);
    learn_incarnation(ret_child, f);
}

static int ask(struct child *child, const struct order *order)
{
    int rc = -1;
    assert_int_equal(write(child->orders, order, sizeof(*order)), sizeof(*order));
    if (order->kind == ORDER_LEAVE)
        return 0;
    assert_int_equal(read(child->answers, &rc, sizeof(rc)), sizeof(rc));
    return rc;
}

static void give_order(struct child *child, const struct order *order)
{
    int rc = ask(child, order);
    assert_return_code(rc, -rc);
}

static struct order event_order(enum order_kind kind, const char *user, const struct event *event)
{
    struct event_record record;
    struct order order = {.kind = kind};
    assert_int_equal(event_record_encode(&record, event), 0);
    assert_in_range(record.size, 1, sizeof(order.record));
    for (int i = 0; i < EVENT_RECORD_PARTS; i++) {
        if (record.parts[i].iov_len)
            memcpy(order.record + order.len, record.parts[i].iov_base, record.parts[i].iov_len);
        order.len += record.parts[i].iov_len;
    }
    memcpy(order.user, user, strlen(user));
    return order;
}

int child_try(struct child *child, const char *user, struct event event)
{
    const struct order order = event_order(ORDER_EMIT, user, &event);
    return ask(child, &order);
}

void child_emit(struct child *child, const char *user, struct event event)
{
    const struct order order = event_order(ORDER_EMIT, user, &event);
    give_order(child, &order);
}

void child_claim(struct child *child, const char *user, struct event event)
{
    const struct order order = event_order(ORDER_CLAIM, user, &event);
    give_order(child, &order);
}

void child_commit(struct child *child)
{
    give_order(child, &(struct order){.kind = ORDER_COMMIT});
}

static void wait_until_dead(const struct child *child)
{
    siginfo_t info;
    assert_return_code(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
}

void child_kill(struct child *child)
{
    kill(child->pid, SIGKILL);
    wait_until_dead(child);
}

void child_leave(struct child *child, int status)
{
    give_order(child, &(struct order){.kind = ORDER_LEAVE, .status = status});
    wait_until_dead(child);
}

void child_reap(struct child *child)
{
    waitpid(child->pid, NULL, 0);
    close(child->orders);
    close(child->answers);
}

void child_stop(struct child *child)
{
    child_kill(child);
    child_reap(child);
}
