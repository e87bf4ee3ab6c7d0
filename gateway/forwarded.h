/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "address.h"
#include "http_request.h"

/*
 * Whose request it is when proxies are in between. Each proxy adds the address it was asked from at
 * the right, so the list is read from there, and only as long as who wrote the next entry is
 * trusted: the first address that is no trusted proxy's is the client's, and what stands left of
 * it is whatever the client liked to write. Pure.
 */
enum forwarded_header {
    FORWARDED_X,       /* X-Forwarded-For: 192.0.2.1, 198.51.100.7 */
    FORWARDED_RFC7239, /* Forwarded: for=192.0.2.1, for="[2001:db8::1]:4711";proto=https */
};

/*
 * An entry that is no address (a name, "unknown") ends the search: then it is the address of the
 * proxy that wrote it. `peer` is who the socket is connected with.
 */
struct address forwarded_client(const struct networks *trusted, const struct address *peer,
    const struct http_request *request, enum forwarded_header header);
