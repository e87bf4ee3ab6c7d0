/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agents of a configuration file:
 *
 *   agents:
 *     NAME:
 *       description: TEXT
 *       kind: exec | native
 *       command: [PROGRAM, ARGUMENT…]      (exec)
 *       library: PATH                      (native)
 *       settings: {any YAML}
 *       limits: {runs: N, memory: BYTES, cpu_time: DURATION}
 *       pool: {min_idle: N, max_uses: N, max_memory: BYTES}
 *       tools:
 *         NAME: {command: [PROGRAM, ARGUMENT…], timeout: DURATION}
 *
 * A command is run as it stands, without a shell. Its words are taken like this:
 *   - the first, when it contains '/', is a path that starts at the file's folder; without '/' it
 *     is looked up in PATH;
 *   - a later word becomes absolute when it contains '/', does not begin with '/', and names
 *     something that exists below the file's folder;
 *   - every other word is left alone.
 */
#include "config/file.h"

#include "base/cleanup.h"
#include "base/identifier.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TOOL_TIMEOUT_MS 30000
#define TOOL_TIMEOUT_MIN_MS 10
#define TOOL_TIMEOUT_MAX_MS 3600000
#define COMMAND_WORDS_MAX 256

static void command_deinit(struct config_command *command)
{
    for (size_t i = 0; command->argv && command->argv[i]; i++)
        free(command->argv[i]);
    free(command->argv);
    command->argv = NULL;
}

static void agent_deinit(struct config_agent *agent)
{
    for (size_t i = 0; i < agent->tool_count; i++) {
        free(agent->tools[i].name);
        command_deinit(&agent->tools[i].command);
    }
    free(agent->tools);
    free(agent->name);
    free(agent->description);
    free(agent->directory);
    free(agent->library);
    free(agent->settings);
    command_deinit(&agent->command);
}

void config_agents_deinit(struct config *config)
{
    for (size_t i = 0; i < config->agent_count; i++)
        agent_deinit(&config->agents[i]);
    free(config->agents);
    config->agents = NULL;
    config->agent_count = 0;
}

/* A command's word as it will be run; NULL when memory is out. */
static char *resolve_word(const struct config_file *file, const char *word, bool first)
{
    if (word[0] == '/' || !strchr(word, '/'))
        return strdup(word);
    char *absolute = NULL;
    if (asprintf(&absolute, "%s/%s", file->folder, word) < 0)
        return NULL;
    if (first || access(absolute, F_OK) == 0)
        return absolute;
    free(absolute);
    return strdup(word);
}

static int read_words(struct config_file *file, const char *key, const yaml_node_t *list,
    struct config_command *command)
{
    const yaml_node_item_t *items = list->data.sequence.items.start;
    size_t count = (size_t)(list->data.sequence.items.top - items);
    command->argv = calloc(count + 1, sizeof(*command->argv));
    if (!command->argv)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *word =
            config_file_text(file, key, yaml_document_get_node(&file->document, items[i]));
        command->argv[i] = resolve_word(file, word ? word : "", i == 0);
        if (!command->argv[i])
            return -ENOMEM;
    }
    if (command->argv[0][0] == '\0')
        config_file_complain(file, list, key, "the first word, the program, is empty");
    return 0;
}

static int read_command(
    struct config_file *file, const char *key, yaml_node_t *node, struct config_command *command)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        config_file_complain(
            file, node, key, "needs a list of words, the program first: [python3, agents/mine.py]");
        return 0;
    }
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count == 0 || count > COMMAND_WORDS_MAX) {
        config_file_complain(
            file, node, key, "needs 1 to %d words, the program first", COMMAND_WORDS_MAX);
        return 0;
    }
    return read_words(file, key, node, command);
}

static void read_timeout(
    struct config_file *file, const char *key, yaml_node_t *node, uint64_t *timeout_ms)
{
    const char *text = config_file_text(file, key, node);
    uint64_t ms;
    if (!text)
        return;
    if (config_parse_duration(text, &ms) == 0 && ms >= TOOL_TIMEOUT_MIN_MS &&
        ms <= TOOL_TIMEOUT_MAX_MS)
        *timeout_ms = ms;
    else
        config_file_complain(
            file, node, key, "\"%s\" is not a duration (250ms, 5s, 10m) from 10ms to 1h", text);
}

/* Cut off where an unknown key is longer than any that means something. */
static void join_key(char ret_key[CONFIG_KEY_MAX], const char *parent, const char *key)
{
    int len = snprintf(ret_key, CONFIG_KEY_MAX, "%s.%s", parent, key);
    assert(len > 0);
    (void)len;
}

/* Whether `name` may name an agent or a tool; complains otherwise. */
static bool check_name(struct config_file *file, const char *key, const struct config_entry *entry)
{
    if (!identifier_valid(span_of_string(entry->key))) {
        config_file_complain(file, entry->key_node, key,
            "a name is 1 to %d printable ASCII characters without space, quote or backslash",
            IDENTIFIER_MAX);
        return false;
    }
    if (entry->value->type != YAML_MAPPING_NODE) {
        config_file_complain(file, entry->key_node, key,
            "\"%s\" needs at least \"command: […]\" below it", entry->key);
        return false;
    }
    return true;
}

static int read_tool(struct config_file *file, const char *key, const struct config_entry *tool,
    struct config_tool *ret_tool)
{
    static const char *const known[] = {"command", "timeout", NULL};
    char name[CONFIG_KEY_MAX];
    size_t at = 0;
    bool has_command = false;
    struct config_entry entry;
    while (config_file_next(file, key, tool->value, &at, &entry)) {
        int rc = 0;
        join_key(name, key, entry.key);
        if (strcmp(entry.key, "command") == 0) {
            has_command = true;
            rc = read_command(file, name, entry.value, &ret_tool->command);
        } else if (strcmp(entry.key, "timeout") == 0) {
            read_timeout(file, name, entry.value, &ret_tool->timeout_ms);
        } else {
            config_file_unknown(file, &entry, name, known);
        }
        if (rc)
            return rc;
    }
    if (!has_command)
        config_file_complain(file, tool->key_node, key, "has no \"command\"");
    return 0;
}

static size_t pairs_of(const yaml_node_t *mapping)
{
    return (size_t)(mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start);
}

static int read_tools(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_agent *agent)
{
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, key, "needs the tools by name, indented below it");
        return 0;
    }
    agent->tools = calloc(pairs_of(mapping) + 1, sizeof(*agent->tools));
    if (!agent->tools)
        return -ENOMEM;
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, key, mapping, &at, &entry)) {
        if (!check_name(file, key, &entry))
            continue;
        char name[CONFIG_KEY_MAX];
        join_key(name, key, entry.key);
        struct config_tool *tool = &agent->tools[agent->tool_count++];
        tool->timeout_ms = TOOL_TIMEOUT_MS;
        tool->name = strdup(entry.key);
        int rc = tool->name ? read_tool(file, name, &entry, tool) : -ENOMEM;
        if (rc)
            return rc;
    }
    return 0;
}

static const struct {
    const char *name;
    enum config_agent_kind kind;
    const char *wants; /* the entry that only this kind has */
} kinds[] = {{"exec", CONFIG_AGENT_EXEC, "command"}, {"native", CONFIG_AGENT_NATIVE, "library"}};

/* Whether the mapping has the entry, well-formed or not. */
static bool has_entry(struct config_file *file, const yaml_node_t *mapping, const char *name)
{
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
        if (key->type == YAML_SCALAR_NODE &&
            strcmp((const char *)key->data.scalar.value, name) == 0)
            return true;
    }
    return false;
}

static int read_description(
    struct config_file *file, const char *key, yaml_node_t *node, struct config_agent *agent)
{
    const char *text = config_file_text(file, key, node);
    if (!text)
        return 0;
    free(agent->description);
    agent->description = strdup(text);
    return agent->description ? 0 : -ENOMEM;
}

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
    config_file_complain(file, node, key, "\"%s\" is neither exec nor native", text);
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
    agent->library = resolve_word(file, text, true);
    return agent->library ? 0 : -ENOMEM;
}

static int read_agent_entry(struct config_file *file, const char *key,
    const struct config_entry *entry, struct config_agent *agent)
{
    static const char *const known[] = {
        "description", "kind", "command", "library", "settings", "limits", "pool", "tools", NULL};
    if (strcmp(entry->key, "description") == 0)
        return read_description(file, key, entry->value, agent);
    if (strcmp(entry->key, "command") == 0)
        return read_command(file, key, entry->value, &agent->command);
    if (strcmp(entry->key, "library") == 0)
        return read_library(file, key, entry->value, agent);
    if (strcmp(entry->key, "settings") == 0)
        return config_settings_read(file, key, entry->value, &agent->settings);
    if (strcmp(entry->key, "tools") == 0)
        return read_tools(file, key, entry->value, agent);
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

/* What an agent is made of: the one thing its kind wants, and nothing another kind wants. */
static void check_making(struct config_file *file, const char *key,
    const struct config_entry *given, const struct config_agent *agent)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        bool own = kinds[i].kind == agent->kind;
        bool has = has_entry(file, given->value, kinds[i].wants);
        if (own && !has)
            config_file_complain(file, given->key_node, key, "has no \"%s\"", kinds[i].wants);
        if (!own && has)
            config_file_complain(file, given->key_node, key, "\"%s\" is for kind: %s",
                kinds[i].wants, kinds[i].name);
    }
}

static int read_agent(struct config_file *file, const char *key, const struct config_entry *given,
    struct config_agent *agent)
{
    char name[CONFIG_KEY_MAX];
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, key, given->value, &at, &entry)) {
        join_key(name, key, entry.key);
        int rc = read_agent_entry(file, name, &entry, agent);
        if (rc)
            return rc;
    }
    check_making(file, key, given, agent);
    return 0;
}

int config_agents_read(struct config_file *file, yaml_node_t *mapping)
{
    struct config *config = file->config;
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(
            file, mapping, "agents", "needs the agents by name, indented below it");
        return 0;
    }
    config->agents = calloc(pairs_of(mapping) + 1, sizeof(*config->agents));
    if (!config->agents)
        return -ENOMEM;
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, "agents", mapping, &at, &entry)) {
        if (!check_name(file, "agents", &entry))
            continue;
        char name[CONFIG_KEY_MAX];
        join_key(name, "agents", entry.key);
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
