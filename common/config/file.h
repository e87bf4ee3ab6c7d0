/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"
#include "config/problems.h"

#include "base/identifier.h"

#include <yaml.h>

/*
 * A configuration file while it is being read. Every complaint goes through here, so that every
 * one names its file and line.
 */
struct config_file {
    const char *path;   /* as it was given: complaints show it */
    const char *folder; /* where it is, absolute; relative paths in the file start here */
    struct config *config;
    struct problems *problems;
    yaml_document_t document;
};

/*
 * Reads `path` into `config`, over what is there; whatever is wrong goes to `problems`. -ENOMEM
 * when memory is out, else 0.
 */
int config_file_read(struct config *config, const char *path, struct problems *problems);

/* `key` is the dotted name of what is wrong at the line of `node`. */
void config_file_complain(struct config_file *file, const yaml_node_t *node, const char *key,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * The entries of a mapping, one at a time: start with *at = 0. False at the end. A key that is no
 * text, or is given twice, is complained of and passed over.
 */
struct config_entry {
    const char *key; /* valid as long as the document */
    yaml_node_t *key_node;
    yaml_node_t *value;
};
bool config_file_next(struct config_file *file, const char *parent, yaml_node_t *mapping,
    size_t *at, struct config_entry *ret_entry);
/* The text of a scalar, or NULL after a complaint. */
const char *config_file_text(struct config_file *file, const char *key, yaml_node_t *node);
/* Complains of an unknown key, with the nearest of `known` (ends with NULL). */
void config_file_unknown(struct config_file *file, const struct config_entry *entry,
    const char *key, const char *const *known);

/* Any mapping as a JSON object, into *settings (freed and replaced). -ENOMEM, else 0. */
int config_settings_read(
    struct config_file *file, const char *key, yaml_node_t *node, char **settings);

/* The names of what is being read: "agents.NAME.tools.NAME.timeout". */
#define CONFIG_KEY_MAX (2 * IDENTIFIER_SIZE + 64)

/* PARENT.KEY; cut off where an unknown key is longer than any that means something. */
void config_join_key(char ret_key[CONFIG_KEY_MAX], const char *parent, const char *key);
/* Reads an entry, `key` being its whole name, into the subject. 0 also after a complaint; -ENOMEM.
 */
typedef int (*config_entry_fn)(
    struct config_file *file, const char *key, const struct config_entry *entry, void *subject);
/* Each entry of the mapping named `key`, until one fails. */
int config_each_entry(struct config_file *file, const char *key, yaml_node_t *mapping,
    config_entry_fn read, void *subject);
/* Whether the mapping has the entry, well-formed or not. */
bool config_has_entry(struct config_file *file, const yaml_node_t *mapping, const char *name);
size_t config_pairs_of(const yaml_node_t *mapping);
/* Whether the entry may declare an agent or a tool; complains otherwise. */
bool config_check_name(struct config_file *file, const char *key, const struct config_entry *entry);
/* A text, into *text (freed and replaced). -ENOMEM, else 0. */
int config_text_read(struct config_file *file, const char *key, yaml_node_t *node, char **text);

/* A list of words (command_words.c), into a command that has none. -ENOMEM, else 0. */
int config_command_read(
    struct config_file *file, const char *key, yaml_node_t *node, struct config_command *command);
void config_command_deinit(struct config_command *command);
/* A command's word as it will be run; NULL when memory is out. */
char *config_resolve_word(const struct config_file *file, const char *word, bool first);

/* An agent's tools. -ENOMEM, else 0. */
int config_tools_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_agent *agent);
void config_tools_deinit(struct config_agent *agent);

/* How long a tool may take, and the user to allow one, where nothing is said. */
#define CONFIG_TOOL_TIMEOUT_MS 30000
#define CONFIG_APPROVAL_TIMEOUT_MS 600000
void config_timeout_read(
    struct config_file *file, const char *key, yaml_node_t *node, uint64_t *timeout_ms);
enum config_approval config_approval_read(
    struct config_file *file, const char *key, yaml_node_t *node);

/* An agent's MCP servers. -ENOMEM, else 0. */
int config_mcp_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_agent *agent);
void config_mcp_deinit(struct config_agent *agent);

/* An agent's limits and pool, over what is there. */
void config_limits_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_limits *limits);
void config_pool_read(
    struct config_file *file, const char *key, yaml_node_t *mapping, struct config_pool *pool);

/* The value of `agents:`. -ENOMEM, else 0. */
int config_agents_read(struct config_file *file, yaml_node_t *mapping);
void config_agents_deinit(struct config *config);
