/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.brokers, and the addresses in it. What is taken has each name once and only addresses
 * that are fit to be used; what is refused is named, within what was given. An address means the
 * same when it is written again.
 */
#include "fuzz.h"

#include "broker_list.h"

#include "wire/url.h"

#include <errno.h>
#include <string.h>

static void check_url(struct span text)
{
    struct wire_url url;
    struct wire_url again;
    char written[WIRE_URL_SIZE];
    if (wire_url_problem(text, true))
        FUZZ_CHECK(wire_url_problem(text, false));
    else
        FUZZ_CHECK(wire_url_parse(&url, text));
    if (!wire_url_parse(&url, text) || url.scheme == WIRE_SCHEME_IPC)
        return;
    FUZZ_CHECK(url.host.len && url.port);
    FUZZ_CHECK(wire_url_format(written, &url) == 0);
    FUZZ_CHECK(wire_url_parse(&again, span_of_string(written)));
    FUZZ_CHECK(again.scheme == url.scheme && again.port == url.port);
    FUZZ_CHECK(again.host.len == url.host.len &&
               memcmp(again.host.data, url.host.data, url.host.len) == 0);
}

static void check_taken(const struct broker_list *list, bool plain)
{
    FUZZ_CHECK(list->count && list->count <= BROKER_LIST_MAX);
    FUZZ_CHECK(broker_list_owner(list, SPAN_LITERAL("alice")) < list->count);
    for (size_t i = 0; i < list->count; i++) {
        FUZZ_CHECK(!wire_url_problem(span_of_string(list->entries[i].url), plain));
        for (size_t j = 0; j < i; j++)
            FUZZ_CHECK(strcmp(list->entries[i].name, list->entries[j].name) != 0);
    }
}

static void check_list(struct span text, bool plain)
{
    static struct broker_list list;
    const char *problem = NULL;
    struct span entry = SPAN_EMPTY;
    int rc = broker_list_parse(&list, text, plain, &problem, &entry);
    if (!rc) {
        check_taken(&list, plain);
        return;
    }
    FUZZ_CHECK(rc == -EINVAL && problem);
    FUZZ_CHECK(
        !entry.len || (entry.data >= text.data && entry.data + entry.len <= text.data + text.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, strnlen((const char *)data, size)); /* as an option has it */
    check_url(text);
    check_list(text, false);
    check_list(text, true);
    return 0;
}
