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

static int read_tool_entry(
    struct config_file *file, const char *key, const struct config_entry *entry, void *subject)
{
    static const char *const known[] = {"approval", NULL};
    struct config_mcp_tool *tool = subject;
    if (strcmp(entry->key, "approval") == 0) {
        tool->given = true;
        tool->approval = config_approval_read(file, key, entry->value);
    } else {
        config_file_unknown(file, entry, key, known);
    }
    return 0;
}

static int read_tool(
    struct config_file *file, const char *key, const struct config_entry *given, void *subject)
{
    struct config_mcp *server = subject;
    if (!config_check_name(file, key, given))
        return 0;
    struct config_mcp_tool *tool = &server->tools[server->tool_count++];
    tool->name = strdup(given->key);
    return tool->name ? config_each_entry(file, key, given->value, read_tool_entry, tool) : -ENOMEM;
}

static int read_tools(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_mcp *server)
{
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs the tools by name, indented below it");
        return 0;
    }
    server->tools = calloc(config_pairs_of(mapping) + 1, sizeof(*server->tools));
    if (!server->tools)
        return -ENOMEM;
    return config_each_entry(file, key, mapping, read_tool, server);
}

static int read_server_entry(
    struct config_file *file, const char *key, const struct config_entry *entry, void *subject)
{
    struct config_mcp *server = subject;
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

static int read_server(
    struct config_file *file, const char *key, const struct config_entry *given, void *subject)
{
    struct config_agent *agent = subject;
    if (!check_name(file, key, given))
        return 0;
    struct config_mcp *server = &agent->mcp[agent->mcp_count++];
    server->timeout_ms = CONFIG_TOOL_TIMEOUT_MS;
    server->approval_timeout_ms = CONFIG_APPROVAL_TIMEOUT_MS;
    server->name = strdup(given->key);
    int rc = server->name ? config_each_entry(file, key, given->value, read_server_entry, server)
                          : -ENOMEM;
    if (!rc && !config_has_entry(file, given->value, "command"))
        config_file_complain(file, given->key_node, key, "has no \"command\"");
    return rc;
}

int config_mcp_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_agent *agent)
{
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs the servers by name, indented below it");
        return 0;
    }
    agent->mcp = calloc(config_pairs_of(mapping) + 1, sizeof(*agent->mcp));
    if (!agent->mcp)
        return -ENOMEM;
    return config_each_entry(file, key, mapping, read_server, agent);
}
