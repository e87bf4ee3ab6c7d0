/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's MCP servers in a configuration file:
 *
 *   mcp:
 *     NAME:
 *       command: [PROGRAM, ARGUMENT…]
 *       timeout: DURATION
 *       approval: auto | ask | deny
 *       approval_timeout: DURATION
 *       tools:
 *         NAME: {approval: auto | ask | deny}
 */
#include "config/file.h"

#include <errno.h>
#include <stdlib.h>

#define NAME_MAX_LEN 32

void config_mcp_deinit(struct config_agent *agent)
{
    for (size_t i = 0; i < agent->mcp_count; i++) {
        struct config_mcp *server = &agent->mcp[i];
        for (size_t k = 0; k < server->tool_count; k++)
            free(server->tools[k].name);
        free(server->tools);
        free(server->name);
        config_command_deinit(&server->command);
    }
    free(agent->mcp);
    agent->mcp = NULL;
    agent->mcp_count = 0;
}

/* The name begins the names of its tools, and those go to language models. */
static bool check_name(struct config_file *file, const char *key, const struct config_entry *entry)
{
    size_t len = strlen(entry->key);
    size_t good =
        strspn(entry->key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (len == 0 || len > NAME_MAX_LEN || good != len) {
        config_file_complain(file, entry->key_node, key,
            "a server's name is 1 to %d letters, digits, _ and -", NAME_MAX_LEN);
        return false;
    }
    return config_check_name(file, key, entry);
}

static int read_tool(struct config_file *file, const char *key, const struct config_entry *given,
    struct config_mcp *server)
{
    static const char *const known[] = {"approval", NULL};
    struct config_mcp_tool *tool = &server->tools[server->tool_count++];
    struct config_entry entry;
    tool->name = strdup(given->key);
    if (!tool->name)
        return -ENOMEM;
    for (size_t at = 0; config_file_next(file, key, given->value, &at, &entry);) {
        char name[CONFIG_KEY_MAX];
        config_join_key(name, key, entry.key);
        tool->given |= strcmp(entry.key, "approval") == 0;
        if (strcmp(entry.key, "approval") == 0)
            tool->approval = config_approval_read(file, name, entry.value);
        else
            config_file_unknown(file, &entry, name, known);
    }
    return 0;
}

static int read_tools(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_mcp *server)
{
    struct config_entry entry;
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs the tools by name, indented below it");
        return 0;
    }
    server->tools = calloc(config_pairs_of(mapping) + 1, sizeof(*server->tools));
    if (!server->tools)
        return -ENOMEM;
    for (size_t at = 0; config_file_next(file, key, mapping, &at, &entry);) {
        char name[CONFIG_KEY_MAX];
        config_join_key(name, key, entry.key);
        int rc = config_check_name(file, name, &entry) ? read_tool(file, name, &entry, server) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int read_entry(struct config_file *file, const char *key, const struct config_entry *entry,
    struct config_mcp *server)
{
    static const char *const known[] = {
        "command", "timeout", "approval", "approval_timeout", "tools", NULL};
    if (strcmp(entry->key, "command") == 0)
        return config_command_read(file, key, entry->value, &server->command);
    if (strcmp(entry->key, "tools") == 0)
        return read_tools(file, key, entry->value, server);
    if (strcmp(entry->key, "timeout") == 0)
        config_timeout_read(file, key, entry->value, &server->timeout_ms);
    else if (strcmp(entry->key, "approval_timeout") == 0)
        config_timeout_read(file, key, entry->value, &server->approval_timeout_ms);
    else if (strcmp(entry->key, "approval") == 0)
        server->approval = config_approval_read(file, key, entry->value);
    else
        config_file_unknown(file, entry, key, known);
    return 0;
}

static int read_server(struct config_file *file, const char *key, const struct config_entry *given,
    struct config_mcp *server)
{
    struct config_entry entry;
    server->timeout_ms = CONFIG_TOOL_TIMEOUT_MS;
    server->approval_timeout_ms = CONFIG_APPROVAL_TIMEOUT_MS;
    server->name = strdup(given->key);
    int rc = server->name ? 0 : -ENOMEM;
    for (size_t at = 0; !rc && config_file_next(file, key, given->value, &at, &entry);) {
        char name[CONFIG_KEY_MAX];
        config_join_key(name, key, entry.key);
        rc = read_entry(file, name, &entry, server);
    }
    if (!rc && !config_has_entry(file, given->value, "command"))
        config_file_complain(file, given->key_node, key, "has no \"command\"");
    return rc;
}

int config_mcp_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_agent *agent)
{
    struct config_entry entry;
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs the servers by name, indented below it");
        return 0;
    }
    agent->mcp = calloc(config_pairs_of(mapping) + 1, sizeof(*agent->mcp));
    if (!agent->mcp)
        return -ENOMEM;
    for (size_t at = 0; config_file_next(file, key, mapping, &at, &entry);) {
        char name[CONFIG_KEY_MAX];
        config_join_key(name, key, entry.key);
        int rc = check_name(file, name, &entry)
                     ? read_server(file, name, &entry, &agent->mcp[agent->mcp_count++])
                     : 0;
        if (rc)
            return rc;
    }
    return 0;
}
