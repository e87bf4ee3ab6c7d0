/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include "http_request.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define V4_SIZE 4
#define V6_SIZE 16
#define HOLDER_BYTES 8

static struct address v4_of(const void *bytes)
{
    struct address address = {.v6 = false};
    memcpy(address.bytes, bytes, V4_SIZE);
    return address;
}

static struct address v6_of(const void *bytes)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct address address = {.v6 = true};
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        return v4_of((const char *)bytes + sizeof(mapped));
    memcpy(address.bytes, bytes, V6_SIZE);
    return address;
}

bool address_of(struct address *ret_address, const struct sockaddr *socket_address)
{
    const void *any = socket_address;
    if (socket_address->sa_family == AF_INET)
        *ret_address = v4_of(&((const struct sockaddr_in *)any)->sin_addr);
    else if (socket_address->sa_family == AF_INET6)
        *ret_address = v6_of(&((const struct sockaddr_in6 *)any)->sin6_addr);
    else
        return false;
    return true;
}

/* ---- text */

bool address_parse(struct address *ret_address, struct span text)
{
    char copy[ADDRESS_TEXT_SIZE];
    unsigned char bytes[V6_SIZE];
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        *ret_address = v4_of(bytes);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        *ret_address = v6_of(bytes);
    else
        return false;
    return true;
}

static bool is_port(struct span text)
{
    if (text.len < 2 || text.len > 6 || text.data[0] != ':')
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return true;
}

/* A colon outside of brackets ends an IPv4 address, and is a part of an IPv6 one. */
bool address_parse_with_port(struct address *ret_address, struct span text)
{
    if (address_parse(ret_address, text))
        return true;
    if (text.len && text.data[0] == '[') {
        const char *end = memchr(text.data, ']', text.len);
        size_t len = end ? (size_t)(end - text.data) + 1 : 0;
        struct span rest = span_of(text.data + len, text.len - len);
        return end && (!rest.len || is_port(rest)) &&
               address_parse(ret_address, span_of(text.data + 1, len - 2)) && ret_address->v6;
    }
    const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    size_t len = colon ? (size_t)(colon - text.data) : 0;
    return colon && is_port(span_of(colon, text.len - len)) &&
           address_parse(ret_address, span_of(text.data, len));
}

void address_format(char ret_text[ADDRESS_TEXT_SIZE], const struct address *address)
{
    if (!inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, ret_text, ADDRESS_TEXT_SIZE))
        ret_text[0] = '\0';
}

struct span address_holder(char room[ADDRESS_HOLDER_SIZE], const struct address *address)
{
    size_t len = address->v6 ? HOLDER_BYTES : V4_SIZE;
    room[0] = address->v6 ? '6' : '4';
    memcpy(room + 1, address->bytes, len);
    return span_of(room, 1 + len);
}

/* ---- networks */

static bool parse_prefix(unsigned *ret_prefix, struct span text, unsigned most)
{
    unsigned prefix = 0;
    if (text.len == 0 || text.len > 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        prefix = prefix * 10 + (unsigned)(text.data[i] - '0');
    }
    *ret_prefix = prefix;
    return prefix <= most;
}

static bool parse_network(struct network *ret_network, struct span text)
{
    const char *slash = memchr(text.data, '/', text.len);
    size_t len = slash ? (size_t)(slash - text.data) : text.len;
    if (!address_parse(&ret_network->address, span_of(text.data, len)))
        return false;
    unsigned most = ret_network->address.v6 ? 128 : 32;
    ret_network->prefix = most;
    return !slash ||
           parse_prefix(&ret_network->prefix, span_of(slash + 1, text.len - len - 1), most);
}

bool networks_parse(struct networks *ret_networks, const char *list, struct span *ret_wrong)
{
    struct networks networks = {.count = 0};
    struct span rest = span_of_string(list);
    struct span item;
    while (http_list_next(&rest, &item)) {
        *ret_wrong = item;
        if (networks.count == NETWORKS_MAX || !parse_network(&networks.items[networks.count], item))
            return false;
        networks.count++;
    }
    *ret_networks = networks;
    return true;
}

static bool network_has(const struct network *network, const struct address *address)
{
    size_t whole = network->prefix / 8;
    unsigned rest = network->prefix % 8;
    if (network->address.v6 != address->v6 ||
        memcmp(network->address.bytes, address->bytes, whole) != 0)
        return false;
    unsigned differ = rest ? network->address.bytes[whole] ^ address->bytes[whole] : 0u;
    return differ >> (8 - rest) == 0;
}

bool networks_have(const struct networks *networks, const struct address *address)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (network_has(&networks->items[i], address))
            return true;
    }
    return false;
}
