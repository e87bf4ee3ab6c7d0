/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

struct sockaddr;

/* IP addresses and networks of them. IPv4 within IPv6 (::ffff:192.0.2.1) is IPv4. Pure. */
struct address {
    bool v6;
    unsigned char bytes[16]; /* of IPv4 the first 4 */
};

#define ADDRESS_TEXT_SIZE 46
/* What limits go by: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer is
 * given and can fill at will. */
#define ADDRESS_HOLDER_SIZE 9

/* False when it is of another family. */
bool address_of(struct address *ret_address, const struct sockaddr *socket_address);
bool address_parse(struct address *ret_address, struct span text);
/* As proxies write it: "192.0.2.1:4711", "[2001:db8::1]:4711", or without the port. */
bool address_parse_with_port(struct address *ret_address, struct span text);
void address_format(char ret_text[ADDRESS_TEXT_SIZE], const struct address *address);
struct span address_holder(char room[ADDRESS_HOLDER_SIZE], const struct address *address);

struct network {
    struct address address;
    unsigned prefix; /* bits that count */
};

#define NETWORKS_MAX 64

struct networks {
    struct network items[NETWORKS_MAX];
    size_t count;
};

/* A list with commas: addresses, and networks as "192.0.2.0/24". False, with what is wrong in it,
 * when an item is neither or there are too many; `ret_networks` is written on success only. */
bool networks_parse(struct networks *ret_networks, const char *list, struct span *ret_wrong);
bool networks_have(const struct networks *networks, const struct address *address);
