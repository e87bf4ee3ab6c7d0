/* SPDX-License-Identifier: Apache-2.0 */
#include "broker_list.h"

#include "base/identifier.h"

#include "wire/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

static struct span trim(struct span text)
{
    while (text.len && text.data[0] == ' ')
        text = span_of(text.data + 1, text.len - 1);
    while (text.len && text.data[text.len - 1] == ' ')
        text.len--;
    return text;
}

static bool name_valid(struct span name)
{
    return identifier_plain(name) && name.len < BROKER_NAME_SIZE;
}

static const struct broker_entry *find(const struct broker_list *list, struct span name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (span_is(name, list->entries[i].name))
            return &list->entries[i];
    }
    return NULL;
}

static const char *add(struct broker_list *list, struct span name, struct span url, bool plain)
{
    if (list->count == BROKER_LIST_MAX)
        return "more brokers than a gateway can have";
    if (url.len >= BROKER_URL_SIZE)
        return "the address is too long";
    if (!name_valid(name))
        return "it must be NAME=ADDRESS, with a name of at most 63 letters, digits, '.', '_' and "
               "'-'";
    if (find(list, name))
        return "the name is given twice";
    const char *problem = wire_url_problem(url, plain);
    if (problem)
        return problem;
    struct broker_entry *entry = &list->entries[list->count++];
    snprintf(entry->name, sizeof(entry->name), "%.*s", SPAN_ARG(name));
    snprintf(entry->url, sizeof(entry->url), "%.*s", SPAN_ARG(url));
    entry->seed = XXH3_64bits(name.data, name.len);
    return NULL;
}

int broker_list_parse(struct broker_list *ret_list, struct span text, bool plain,
    const char **ret_problem, struct span *ret_entry)
{
    bool more;
    ret_list->count = 0;
    do {
        more = text.len && memchr(text.data, ',', text.len);
        struct span entry = trim(span_take_until(&text, ','));
        struct span url = entry;
        struct span name = trim(span_take_until(&url, '='));
        const char *problem = add(ret_list, name, trim(url), plain);
        if (problem) {
            *ret_problem = problem;
            *ret_entry = entry;
            return -EINVAL;
        }
    } while (more);
    return 0;
}

int broker_list_own(struct broker_list *ret_list, const char *url)
{
    struct broker_entry *entry = &ret_list->entries[0];
    int len = snprintf(entry->url, sizeof(entry->url), "%s", url);
    if (len < 0 || (size_t)len >= sizeof(entry->url))
        return -ENAMETOOLONG;
    snprintf(entry->name, sizeof(entry->name), "own");
    entry->seed = 0;
    ret_list->count = 1;
    return 0;
}

size_t broker_list_owner(const struct broker_list *list, struct span user)
{
    size_t owner = 0;
    uint64_t highest = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint64_t weight = XXH3_64bits_withSeed(user.data, user.len, list->entries[i].seed);
        bool tie =
            weight == highest && strcmp(list->entries[i].name, list->entries[owner].name) < 0;
        if (i == 0 || weight > highest || tie) {
            owner = i;
            highest = weight;
        }
    }
    return owner;
}
