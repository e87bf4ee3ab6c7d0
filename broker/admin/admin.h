/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop/broker.h"

#include <jansson.h>

/*
 * What the shell asks over the control socket, and what it asks for. Every question has a bounded
 * answer: lists come in pages, in an order of the broker's own, each page with the cursor of the
 * next, so that a node with a hundred thousand users answers each within its turn. A page is short
 * when few of the rows looked at match. Rows that are there from the first page to the last are in
 * exactly one of them; others may be in one or in none.
 */
#define ADMIN_PAGE_ROWS 256
#define ADMIN_PAGE_LOOKS 4096

struct admin_request {
    struct broker *broker;
    const json_t *argument; /* an object */
    struct buffer *out;     /* JSON; of no meaning when refused */
    struct control_refusal *refusal;
};

/* For control_port_options.answer; the context is the broker. */
bool admin_answer(void *context, struct span what, struct span argument, struct buffer *out,
    struct control_refusal *ret_refusal);

/* False, for a request that cannot be done; texts are static. */
bool admin_refuse(struct admin_request *request, const char *code, const char *message);
/* A member of the argument: false, and refused, unless it is an identifier. */
bool admin_identifier(struct admin_request *request, const char *name, struct span *ret_id);
/* The same, but it may be absent. */
bool admin_filter(struct admin_request *request, const char *name, struct span *ret_id);

/* ---- a page of a list: begin, rows, end */

struct admin_page {
    struct admin_request *request;
    uint64_t cursor; /* of map_scan */
    size_t rows;
    size_t looks;
};

/* Reads the cursor and opens the array; false, and refused, when it is none. */
bool admin_page_begin(struct admin_page *page, struct admin_request *request, const char *name);
/* Whether a row may be added, or another bucket looked at. */
bool admin_page_has_room(const struct admin_page *page);
/* Opens a row's object. */
void admin_page_row(struct admin_page *page);
/* Closes the array, and tells where the next page begins. */
void admin_page_end(struct admin_page *page);

/* ---- the questions, and what may be asked for; each as admin_answer */

bool admin_runs(struct admin_request *request);
bool admin_run(struct admin_request *request);
bool admin_users(struct admin_request *request);
bool admin_user(struct admin_request *request);
bool admin_workers(struct admin_request *request);
bool admin_gateways(struct admin_request *request);
bool admin_agents(struct admin_request *request);
bool admin_backup(struct broker *broker, struct span path, struct buffer *out);
bool admin_hand_over(struct broker *broker, struct span versions, struct buffer *out);
bool admin_kick(struct admin_request *request);
bool admin_pause(struct admin_request *request);
bool admin_resume(struct admin_request *request);
bool admin_drain(struct admin_request *request);
