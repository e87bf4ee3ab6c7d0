/* SPDX-License-Identifier: Apache-2.0 */
#include "brokers.h"

#include "broker_list.h"

#include "base/json.h"
#include "base/log.h"
#include "wire/url.h"

#include <errno.h>
#include <stdlib.h>

struct brokers {
    struct link_tls_files tls;
    struct broker_list list;
    struct broker_link *links[BROKER_LIST_MAX]; /* in the order of `list` */
};

static int read_list(struct broker_list *list, const struct brokers_options *options)
{
    struct span text = span_of_string(options->config->gateway_brokers);
    struct span entry;
    const char *problem;
    if (!text.len)
        return broker_list_own(list, options->own_url);
    int rc =
        broker_list_parse(list, text, options->config->gateway_brokers_plain, &problem, &entry);
    if (rc)
        log_error("brokers", "gateway.brokers: \"%.*s\": %s", SPAN_ARG(entry), problem);
    return rc;
}

static int make_links(struct brokers *brokers, struct ev_loop *loop,
    const struct brokers_options *options, const struct broker_link_events *events, void *context)
{
    for (size_t i = 0; i < brokers->list.count; i++) {
        const struct broker_entry *entry = &brokers->list.entries[i];
        const struct broker_link_options link_options = {.control_url = entry->url,
            .broker = entry->name,
            .name = options->name,
            .tls = &brokers->tls,
            .remote = strncmp(entry->url, "ipc://", 6) != 0,
            .counters = options->counters};
        int rc = broker_link_new(&brokers->links[i], loop, &link_options, events, context);
        if (rc) {
            log_error("brokers", "the link to broker %s at %s: %s", entry->name, entry->url,
                strerror(-rc));
            return rc;
        }
    }
    return 0;
}

int brokers_new(struct brokers **ret_brokers, struct ev_loop *loop,
    const struct brokers_options *options, const struct broker_link_events *events, void *context)
{
    struct brokers *brokers = calloc(1, sizeof(*brokers));
    if (!brokers)
        return -ENOMEM;
    brokers->tls =
        (struct link_tls_files){.certificate = options->config->gateway_brokers_certificate_file,
            .key = options->config->gateway_brokers_key_file,
            .authority = options->config->gateway_brokers_authority_file};
    int rc = read_list(&brokers->list, options);
    if (!rc)
        rc = make_links(brokers, loop, options, events, context);
    if (rc) {
        brokers_free(brokers);
        return rc;
    }
    options->counters->brokers = brokers->list.count;
    *ret_brokers = brokers;
    return 0;
}

void brokers_free(struct brokers *brokers)
{
    if (!brokers)
        return;
    for (size_t i = 0; i < brokers->list.count; i++)
        broker_link_free(brokers->links[i]);
    free(brokers);
}

static bool any_secure(const struct broker_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct wire_url url;
        if (wire_url_parse(&url, span_of_string(list->entries[i].url)) &&
            url.scheme == WIRE_SCHEME_TLS)
            return true;
    }
    return false;
}

int brokers_check_files(const struct brokers *brokers)
{
    struct nng_tls_config *tls = NULL;
    const char *wrong;
    if (!any_secure(&brokers->list))
        return 0;
    int rc = link_tls_new(&tls, &brokers->tls, "any", &wrong);
    if (rc)
        log_error("brokers", "%s: %s", *wrong ? wrong : "TLS", link_tls_problem(rc));
    link_tls_free(tls);
    return rc;
}

void brokers_renew(struct brokers *brokers)
{
    for (size_t i = 0; i < brokers->list.count; i++)
        (void)broker_link_renew(brokers->links[i]); /* one that fails uses the old ones on */
}

struct broker_link *brokers_link_of(const struct brokers *brokers, const char *user)
{
    return brokers->links[broker_list_owner(&brokers->list, span_of_string(user))];
}

bool brokers_any_ready(const struct brokers *brokers)
{
    for (size_t i = 0; i < brokers->list.count; i++) {
        if (broker_link_ready(brokers->links[i]))
            return true;
    }
    return false;
}

void brokers_send(struct brokers *brokers, const struct wire_message *message)
{
    for (size_t i = 0; i < brokers->list.count; i++)
        broker_link_send(brokers->links[i], message);
}

void brokers_tick(struct brokers *brokers, uint64_t now_ms)
{
    for (size_t i = 0; i < brokers->list.count; i++)
        broker_link_tick(brokers->links[i], now_ms);
}

void brokers_append_json(struct buffer *out, const struct brokers *brokers)
{
    buffer_append_char(out, '[');
    for (size_t i = 0; i < brokers->list.count; i++) {
        buffer_append_string(out, i ? ",{" : "{");
        json_append_member(out, "name", span_of_string(brokers->list.entries[i].name));
        json_append_member_bool(out, "ready", broker_link_ready(brokers->links[i]));
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

size_t brokers_append_away(struct buffer *out, const struct brokers *brokers)
{
    size_t count = 0;
    for (size_t i = 0; i < brokers->list.count; i++) {
        if (broker_link_ready(brokers->links[i]))
            continue;
        buffer_printf(out, "%s%s", count ? ", " : "", brokers->list.entries[i].name);
        count++;
    }
    return count;
}
