/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker_link.h"

#include "config/config.h"

/*
 * The links to all brokers of a gateway: one each, made and remade independently. Whose events and
 * requests go where is broker_list.h's decision. Loop thread only.
 */
struct brokers;

struct brokers_options {
    const struct config *config;
    const char *own_url; /* the node's own broker, when the configuration names none */
    const char *name;    /* this gateway's, for people */
    struct counters *counters;
};

/*
 * Strings of `options`, `events` and `context` are borrowed for the brokers' life. -errno after
 * saying on the log what is wrong.
 */
int brokers_new(struct brokers **ret_brokers, struct ev_loop *loop,
    const struct brokers_options *options, const struct broker_link_events *events, void *context);
void brokers_free(struct brokers *brokers);
/* Whether brokers_renew can be done; what is wrong is on the log. 0 or -errno. */
int brokers_check_files(const struct brokers *brokers);
/* Reads the files of the links again, for connections that are made from now on. */
void brokers_renew(struct brokers *brokers);

/* The link to the broker that has the user, whether it is there now or not. */
struct broker_link *brokers_link_of(const struct brokers *brokers, const char *user);
/* Whether any broker can be reached. */
bool brokers_any_ready(const struct brokers *brokers);
/* Tells every broker that can be reached. */
void brokers_send(struct brokers *brokers, const struct wire_message *message);
void brokers_tick(struct brokers *brokers, uint64_t now_ms);
/* [{"name","ready"}, …] */
void brokers_append_json(struct buffer *out, const struct brokers *brokers);
/* The names of those that cannot be reached, a comma and a space between them; how many. */
size_t brokers_append_away(struct buffer *out, const struct brokers *brokers);
