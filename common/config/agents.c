/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agents of a configuration file:
 *
 *   agents:
 *     NAME:
 *       description: TEXT
 *       kind: exec | native | llm
 *       command: [PROGRAM, ARGUMENT…]      (exec)
 *       library: PATH                      (native)
 *       settings: {any YAML}               (required by llm)
 *       limits: {runs: N, memory: BYTES, cpu_time: DURATION}
 *       pool: {min_idle: N, max_uses: N, max_memory: BYTES}
 *       tools:
 *         NAME: {…}                        (agent_tools.c)
 *       mcp:
 *         NAME: {…}                        (agent_mcp.c)
 */
#include "config/file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

static void agent_deinit(struct config_agent *agent)
{
    config_tools_deinit(agent);
    config_mcp_deinit(agent);
    free(agent->name);
    free(agent->description);
    free(agent->directory);
    free(agent->library);
    free(agent->settings);
    config_command_deinit(&agent->command);
}

void config_agents_deinit(struct config *config)
{
    for (size_t i = 0; i < config->agent_count; i++)
        agent_deinit(&config->agents[i]);
    free(config->agents);
    config->agents = NULL;
    config->agent_count = 0;
}

static const struct {
    const char *name;
    enum config_agent_kind kind;
    const char *wants; /* the entry it must have */
    bool alone;        /* and that only this kind has */
} kinds[] = {{"exec", CONFIG_AGENT_EXEC, "command", true},
    {"native", CONFIG_AGENT_NATIVE, "library", true}, {"llm", CONFIG_AGENT_LLM, "settings", false}};

static void read_kind(
    struct config_file *file, const char *key, yaml_node_t *node, struct config_agent *agent)
{
    const char *text = config_file_text(file, key, node);
    if (!text)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(text, kinds[i].name) == 0) {
            agent->kind = kinds[i].kind;
            return;
        }
    }
    config_file_complain(file, node, key, "\"%s\" is none of exec, native, llm", text);
}

static int read_library(
    struct config_file *file, const char *key, yaml_node_t *node, struct config_agent *agent)
{
    const char *text = config_file_text(file, key, node);
    if (!text)
        return 0;
    if (!strchr(text, '/')) {
        config_file_complain(
            file, node, key, "needs a path with a '/': ./%s for the file's own folder", text);
        return 0;
    }
    free(agent->library);
    agent->library = config_resolve_word(file, text, true);
    return agent->library ? 0 : -ENOMEM;
}

static int read_agent_entry(
    struct config_file *file, const char *key, const struct config_entry *entry, void *subject)
{
    struct config_agent *agent = subject;
    static const char *const known[] = {"description", "kind", "command", "library", "settings",
        "limits", "pool", "tools", "mcp", NULL};
    if (strcmp(entry->key, "description") == 0)
        return config_text_read(file, key, entry->value, &agent->description);
    if (strcmp(entry->key, "command") == 0)
        return config_command_read(file, key, entry->value, &agent->command);
    if (strcmp(entry->key, "library") == 0)
        return read_library(file, key, entry->value, agent);
    if (strcmp(entry->key, "settings") == 0)
        return config_settings_read(file, key, entry->value, &agent->settings);
    if (strcmp(entry->key, "tools") == 0)
        return config_tools_read(file, key, entry->value, agent);
    if (strcmp(entry->key, "mcp") == 0)
        return config_mcp_read(file, key, entry->value, agent);
    if (strcmp(entry->key, "kind") == 0)
        read_kind(file, key, entry->value, agent);
    else if (strcmp(entry->key, "limits") == 0)
        config_limits_read(file, key, entry->value, &agent->limits);
    else if (strcmp(entry->key, "pool") == 0)
        config_pool_read(file, key, entry->value, &agent->pool);
    else
        config_file_unknown(file, entry, key, known);
    return 0;
}

/* What an agent is made of: the one thing its kind wants, and nothing only another kind has. */
static void check_making(struct config_file *file, const char *key,
    const struct config_entry *given, const struct config_agent *agent)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        bool own = kinds[i].kind == agent->kind;
        bool has = config_has_entry(file, given->value, kinds[i].wants);
        if (own && !has)
            config_file_complain(file, given->key_node, key, "has no \"%s\"", kinds[i].wants);
        if (!own && has && kinds[i].alone)
            config_file_complain(file, given->key_node, key, "\"%s\" is for kind: %s",
                kinds[i].wants, kinds[i].name);
    }
}

static int read_agent(struct config_file *file, const char *key, const struct config_entry *given,
    struct config_agent *agent)
{
    int rc = config_each_entry(file, key, given->value, read_agent_entry, agent);
    if (!rc)
        check_making(file, key, given, agent);
    return rc;
}

int config_agents_read(struct config_file *file, yaml_node_t *mapping)
{
    struct config *config = file->config;
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(
            file, mapping, "agents", "needs the agents by name, indented below it");
        return 0;
    }
    config->agents = calloc(config_pairs_of(mapping) + 1, sizeof(*config->agents));
    if (!config->agents)
        return -ENOMEM;
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, "agents", mapping, &at, &entry)) {
        if (!config_check_name(file, "agents", &entry))
            continue;
        char name[CONFIG_KEY_MAX];
        config_join_key(name, "agents", entry.key);
        struct config_agent *agent = &config->agents[config->agent_count++];
        agent->name = strdup(entry.key);
        agent->description = strdup("");
        agent->directory = strdup(file->folder);
        agent->settings = strdup("{}");
        agent->pool.max_uses = 1;
        if (!agent->name || !agent->description || !agent->directory || !agent->settings)
            return -ENOMEM;
        int rc = read_agent(file, name, &entry, agent);
        if (rc)
            return rc;
    }
    return 0;
}
