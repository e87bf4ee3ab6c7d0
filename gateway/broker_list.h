/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The brokers behind a gateway, as gateway.brokers names them, and which of them has a user. Pure.
 *
 * A user belongs to the broker whose name and the user's hash highest together (rendezvous
 * hashing): every gateway with the same names finds the same one without asking anybody, whatever
 * the order of the list, and when a broker is added or removed only those users move that it gets
 * or had. The name counts and not the address, so that a broker can be given another address.
 */
#define BROKER_LIST_MAX 64
#define BROKER_NAME_SIZE 64
#define BROKER_URL_SIZE 512

struct broker_entry {
    char name[BROKER_NAME_SIZE];
    char url[BROKER_URL_SIZE];
    uint64_t seed; /* the name's hash */
};

struct broker_list {
    size_t count;
    struct broker_entry entries[BROKER_LIST_MAX];
};

/*
 * Reads "NAME=URL, …". A URL is ipc://PATH, tls+tcp://HOST:PORT, or tcp://HOST:PORT, which must be
 * this machine's own (127.x.x.x, [::1], localhost) unless `plain`. -EINVAL, with *ret_problem
 * saying what is wrong with *ret_entry, on anything else, and on a name given twice.
 */
int broker_list_parse(struct broker_list *ret_list, struct span text, bool plain,
    const char **ret_problem, struct span *ret_entry);
/* One broker: the node's own. */
int broker_list_own(struct broker_list *ret_list, const char *url);
/* The index of the broker that has the user. The list is not empty. */
size_t broker_list_owner(const struct broker_list *list, struct span user);
