/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's tools in a configuration file:
 *
 *   tools:
 *     NAME:
 *       kind: command | client
 *       command: [PROGRAM, ARGUMENT…]      (command)
 *       description: TEXT
 *       input_schema: {type: object, …}
 *       timeout: DURATION
 *       approval: auto | ask | deny
 *       approval_timeout: DURATION
 */
#include "config/file.h"

#include "base/json_member.h"

#include <errno.h>
#include <stdlib.h>

#define TIMEOUT_MIN_MS 10
#define TIMEOUT_MAX_MS 3600000

struct choice {
    const char *name;
    unsigned value;
};

static const struct choice kinds[] = {
    {"command", CONFIG_TOOL_COMMAND}, {"client", CONFIG_TOOL_CLIENT}, {NULL, 0}};
static const struct choice approvals[] = {{"auto", CONFIG_APPROVAL_AUTO},
    {"ask", CONFIG_APPROVAL_ASK}, {"deny", CONFIG_APPROVAL_DENY}, {NULL, 0}};

void config_tools_deinit(struct config_agent *agent)
{
    for (size_t i = 0; i < agent->tool_count; i++) {
        free(agent->tools[i].name);
        free(agent->tools[i].description);
        free(agent->tools[i].input_schema);
        config_command_deinit(&agent->tools[i].command);
    }
    free(agent->tools);
    agent->tools = NULL;
    agent->tool_count = 0;
}

void config_timeout_read(
    struct config_file *file, const char *key, yaml_node_t *node, uint64_t *timeout_ms)
{
    const char *text = config_file_text(file, key, node);
    uint64_t ms;
    if (!text)
        return;
    if (config_parse_duration(text, &ms) == 0 && ms >= TIMEOUT_MIN_MS && ms <= TIMEOUT_MAX_MS)
        *timeout_ms = ms;
    else
        config_file_complain(
            file, node, key, "\"%s\" is not a duration (250ms, 5s, 10m) from 10ms to 1h", text);
}

static unsigned read_choice(
    struct config_file *file, const char *key, yaml_node_t *node, const struct choice *choices)
{
    const char *text = config_file_text(file, key, node);
    for (const struct choice *choice = choices; text && choice->name; choice++) {
        if (strcmp(text, choice->name) == 0)
            return choice->value;
    }
    if (text)
        config_file_complain(file, node, key, "\"%s\" is not one of: %s, %s%s%s", text,
            choices[0].name, choices[1].name, choices[2].name ? ", " : "",
            choices[2].name ? choices[2].name : "");
    return choices[0].value;
}

enum config_approval config_approval_read(
    struct config_file *file, const char *key, yaml_node_t *node)
{
    return read_choice(file, key, node, approvals);
}

static int read_schema(
    struct config_file *file, const char *key, yaml_node_t *node, char **input_schema)
{
    int rc = config_settings_read(file, key, node, input_schema);
    struct span type =
        *input_schema ? json_member_value(span_of_string(*input_schema), "type") : SPAN_EMPTY;
    if (*input_schema && !span_is(type, "\"object\""))
        config_file_complain(file, node, key, "needs \"type: object\": arguments are an object");
    return rc;
}

static int read_tool_entry(
    struct config_file *file, const char *key, const struct config_entry *entry, void *subject)
{
    struct config_tool *tool = subject;
    static const char *const known[] = {"kind", "command", "description", "input_schema", "timeout",
        "approval", "approval_timeout", NULL};
    if (strcmp(entry->key, "command") == 0)
        return config_command_read(file, key, entry->value, &tool->command);
    if (strcmp(entry->key, "description") == 0)
        return config_text_read(file, key, entry->value, &tool->description);
    if (strcmp(entry->key, "input_schema") == 0)
        return read_schema(file, key, entry->value, &tool->input_schema);
    if (strcmp(entry->key, "timeout") == 0)
        config_timeout_read(file, key, entry->value, &tool->timeout_ms);
    else if (strcmp(entry->key, "approval_timeout") == 0)
        config_timeout_read(file, key, entry->value, &tool->approval_timeout_ms);
    else if (strcmp(entry->key, "approval") == 0)
        tool->approval = config_approval_read(file, key, entry->value);
    else if (strcmp(entry->key, "kind") == 0)
        tool->kind = read_choice(file, key, entry->value, kinds);
    else
        config_file_unknown(file, entry, key, known);
    return 0;
}

static int read_tool(struct config_file *file, const char *key, const struct config_entry *given,
    struct config_tool *tool)
{
    int rc = config_each_entry(file, key, given->value, read_tool_entry, tool);
    if (rc)
        return rc;
    bool has_command = config_has_entry(file, given->value, "command");
    if (tool->kind == CONFIG_TOOL_COMMAND && !has_command)
        config_file_complain(file, given->key_node, key, "has no \"command\"");
    if (tool->kind == CONFIG_TOOL_CLIENT && has_command)
        config_file_complain(file, given->key_node, key, "\"command\" is not for kind: client");
    return 0;
}

int config_tools_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_agent *agent)
{
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs the tools by name, indented below it");
        return 0;
    }
    agent->tools = calloc(config_pairs_of(mapping) + 1, sizeof(*agent->tools));
    if (!agent->tools)
        return -ENOMEM;
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, key, mapping, &at, &entry)) {
        if (!config_check_name(file, key, &entry))
            continue;
        char name[CONFIG_KEY_MAX];
        config_join_key(name, key, entry.key);
        struct config_tool *tool = &agent->tools[agent->tool_count++];
        tool->timeout_ms = CONFIG_TOOL_TIMEOUT_MS;
        tool->approval_timeout_ms = CONFIG_APPROVAL_TIMEOUT_MS;
        tool->name = strdup(entry.key);
        int rc = tool->name ? read_tool(file, name, &entry, tool) : -ENOMEM;
        if (rc)
            return rc;
    }
    return 0;
}
