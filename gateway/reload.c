/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HUP: the configuration and the keys are read again, and everything or nothing of it counts. Keys
 * are loaded as the new configuration says before any option changes, so that one bad file leaves
 * the gateway as it was. Nobody is sent away: options hold for whatever is decided from then on.
 */
#include "admission.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "config/take_over.h"

#include <errno.h>

/* Every one of these is read from the configuration each time it is needed. */
static const enum option_index changeable[] = {
    OPTION_AT_node_log_level,
    OPTION_AT_gateway_allowed_origins,
    OPTION_AT_gateway_tls_certificate_file,
    OPTION_AT_gateway_tls_key_file,
    OPTION_AT_gateway_token_key_file,
    OPTION_AT_gateway_token_pem_file,
    OPTION_AT_gateway_token_jwks_file,
    OPTION_AT_gateway_token_issuer,
    OPTION_AT_gateway_token_audience,
    OPTION_AT_gateway_token_skew,
    OPTION_AT_gateway_token_warning,
    OPTION_AT_gateway_token_grace,
    OPTION_AT_gateway_token_admin_claim,
    OPTION_AT_gateway_metrics_access,
    OPTION_AT_gateway_web_root,
    OPTION_AT_gateway_max_frame,
    OPTION_AT_gateway_max_messages_per_second,
    OPTION_AT_gateway_message_timeout,
    OPTION_AT_gateway_max_connections,
    OPTION_AT_gateway_max_connections_per_user,
    OPTION_AT_gateway_max_connections_per_address,
    OPTION_AT_gateway_connection_rate_per_user,
    OPTION_AT_gateway_connection_rate_per_address,
    OPTION_AT_gateway_unlimited_addresses,
    OPTION_AT_gateway_trusted_proxies,
    OPTION_AT_gateway_proxy_header,
    OPTION_AT_gateway_max_pending_requests,
    OPTION_AT_gateway_max_filter_threads,
    OPTION_AT_gateway_max_head,
    OPTION_AT_gateway_max_unread_requests,
    OPTION_AT_gateway_handshake_timeout,
    OPTION_AT_gateway_open_timeout,
    OPTION_AT_gateway_max_outbox,
    OPTION_AT_gateway_heartbeat,
    OPTION_AT_gateway_drain_window,
    OPTION_AT_gateway_drain_grace,
};

static bool may_change(const struct option *option)
{
    for (size_t i = 0; i < ARRAY_SIZE(changeable); i++) {
        if (option == &option_table[changeable[i]])
            return true;
    }
    return false;
}

static void tell(void *context, const struct option *option, enum take_over outcome)
{
    (void)context;
    if (strcmp(option->section, "gateway") != 0 && strcmp(option->section, "node") != 0)
        return;
    if (outcome == TAKE_OVER_DONE)
        log_info("gateway", "%s.%s has changed", option->section, option->key);
    else
        log_warn("gateway", "%s.%s has changed, which takes a restart; the old value stays",
            option->section, option->key);
}

static void set_log_level(const struct config *config)
{
    enum log_level level;
    if (log_level_parse(config->node_log_level, &level) == 0)
        log_init("gateway", level);
}

/* What was read, and does not count yet. */
struct reading {
    struct config config;
    struct address_lists lists;
    struct ssl_ctx_st *tls;
};

/*
 * All that can fail. Nothing counts before everything was read; the token keys come last, since
 * they count at once.
 */
static int read_everything(struct gateway *gateway, struct reading *reading)
{
    if (gateway->read_config(&reading->config) != CONFIG_RUN)
        return -EINVAL;
    if (tls_keys_wanted(gateway->config) != tls_keys_wanted(&reading->config)) {
        log_error("gateway", "TLS is turned on and off by a restart");
        return -EINVAL;
    }
    int rc = admission_read_lists(&reading->lists, &reading->config);
    if (!rc)
        rc = brokers_check_files(gateway->brokers);
    if (!rc)
        rc = tls_keys_read(&reading->tls, &reading->config);
    if (!rc)
        rc = auth_reload(gateway->auth, &reading->config);
    return rc;
}

void gateway_reload(struct gateway *gateway)
{
    static const struct take_over_rules rules = {.may_change = may_change, .tell = tell};
    struct reading next = {.tls = NULL};
    if (read_everything(gateway, &next) < 0) {
        tls_keys_drop(next.tls);
        log_error("gateway", "what was read again cannot be used: everything stays as it was");
    } else {
        tls_keys_use(gateway->keys, next.tls);
        brokers_renew(gateway->brokers);
        gateway->lists = next.lists;
        config_take_over(gateway->changing_config, &next.config, &rules);
        set_log_level(gateway->config);
        log_info("gateway", "configuration and token keys were read again");
    }
    config_deinit(&next.config);
}
