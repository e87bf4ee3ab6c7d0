/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "tokens.h"

#include <stdio.h>

static enum cli_status make_token(
    const struct config *config, struct tokens_wanted *wanted, const char *ttl)
{
    uint64_t lifetime_ms;
    if (!wanted->user)
        return cli_fail(CLI_USAGE, "token", "needs --user NAME");
    if (!cli_identifier("token", "user", wanted->user))
        return CLI_USAGE;
    if (config_parse_duration(ttl, &lifetime_ms) < 0 || lifetime_ms < 1000)
        return cli_fail(
            CLI_USAGE, "token", "--ttl: \"%s\" is not a duration (30s, 10m, 24h) from 1s on", ttl);
    wanted->lifetime = lifetime_ms / 1000;
    struct buffer token = BUFFER_INIT;
    char why[TOKENS_WHY_SIZE];
    enum cli_status status = CLI_DONE;
    if (tokens_make(&token, config, wanted, why) < 0)
        status = cli_fail(CLI_FAILED, "token", "%s", why);
    else
        printf("%.*s\n", SPAN_ARG(buffer_span(&token)));
    buffer_deinit(&token);
    return status;
}

enum cli_status verb_token(int argc, char **argv)
{
    const char *ttl = "1h", *admin = NULL;
    struct tokens_wanted wanted = {0};
    const struct config_flag flags[] = {
        {"user", "NAME", "whom the token names (its sub claim)", &wanted.user},
        {"ttl", "DURATION", "how long it is good for; default 1h", &ttl},
        {"admin", NULL, "an administrator's token: with gateway.token_admin_claim", &admin},
        {"claims", "JSON", "further claims, an object: {\"team\":\"blue\"}", &wanted.claims},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside token",
        .summary =
            "Prints a token signed with the node's own key (HS256), which is made when it is\n"
            "missing. For development and tests: whoever can read the key can be any user.",
        .sections = sections,
        .flags = flags,
        .examples =
            "  ringside token --user demo\n"
            "  curl -H \"Authorization: Bearer $(ringside token --user demo --ttl 5m)\" \\\n"
            "      http://127.0.0.1:8080/v1/events\n",
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    wanted.admin = admin != NULL;
    status = make_token(&config, &wanted, ttl);
    config_deinit(&config);
    return status;
}
