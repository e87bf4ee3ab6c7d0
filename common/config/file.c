/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include "base/cleanup.h"
#include "config/option.h"
#include "config/suggest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void config_file_complain(
    struct config_file *file, const yaml_node_t *node, const char *key, const char *format, ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    problems_add(file->problems, "%s:%zu: %s: %s", file->path, node->start_mark.line + 1, key, why);
}

static bool is_text(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE &&
           strlen((const char *)node->data.scalar.value) == node->data.scalar.length;
}

static const char *text_of(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* The line where `key` was given in the first `count` pairs, or 0. */
static size_t given_before(
    struct config_file *file, const yaml_node_t *mapping, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *node =
            yaml_document_get_node(&file->document, mapping->data.mapping.pairs.start[i].key);
        if (is_text(node) && strcmp(text_of(node), key) == 0)
            return node->start_mark.line + 1;
    }
    return 0;
}

bool config_file_next(struct config_file *file, const char *parent, yaml_node_t *mapping,
    size_t *at, struct config_entry *ret_entry)
{
    size_t count = (size_t)(mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start);
    while (*at < count) {
        size_t index = (*at)++;
        const yaml_node_pair_t *pair = &mapping->data.mapping.pairs.start[index];
        yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
        if (!is_text(key)) {
            config_file_complain(file, key, parent, "a key here is no plain text");
            continue;
        }
        size_t first = given_before(file, mapping, index, text_of(key));
        if (first) {
            config_file_complain(
                file, key, parent, "\"%s\" is given twice, first on line %zu", text_of(key), first);
            continue;
        }
        *ret_entry = (struct config_entry){
            .key = text_of(key),
            .key_node = key,
            .value = yaml_document_get_node(&file->document, pair->value),
        };
        return true;
    }
    return false;
}

const char *config_file_text(struct config_file *file, const char *key, yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        config_file_complain(file, node, key, "needs one value, not a list or a group of keys");
    else if (!is_text(node))
        config_file_complain(file, node, key, "contains a NUL byte");
    else if (node->data.scalar.length == 0 && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        config_file_complain(file, node, key, "has no value (write '' for an empty text)");
    else
        return text_of(node);
    return NULL;
}

void config_file_unknown(struct config_file *file, const struct config_entry *entry,
    const char *key, const char *const *known)
{
    struct suggestion suggestion = suggestion_for(entry->key);
    for (size_t i = 0; known[i]; i++)
        suggestion_offer(&suggestion, known[i]);
    if (suggestion.nearest)
        config_file_complain(
            file, entry->key_node, key, "unknown key; did you mean \"%s\"?", suggestion.nearest);
    else
        config_file_complain(file, entry->key_node, key, "unknown key");
}

bool config_has_entry(struct config_file *file, const yaml_node_t *mapping, const char *name)
{
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
        if (key->type == YAML_SCALAR_NODE && strcmp(text_of(key), name) == 0)
            return true;
    }
    return false;
}

int config_text_read(struct config_file *file, const char *key, yaml_node_t *node, char **text)
{
    const char *given = config_file_text(file, key, node);
    if (!given)
        return 0;
    free(*text);
    *text = strdup(given);
    return *text ? 0 : -ENOMEM;
}

bool config_check_name(struct config_file *file, const char *key, const struct config_entry *entry)
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

void config_join_key(char ret_key[CONFIG_KEY_MAX], const char *parent, const char *key)
{
    int len = snprintf(ret_key, CONFIG_KEY_MAX, "%s.%s", parent, key);
    assert(len > 0);
    (void)len;
}

int config_each_entry(struct config_file *file, const char *key, yaml_node_t *mapping,
    config_entry_fn read, void *subject)
{
    struct config_entry entry;
    int rc = 0;
    for (size_t at = 0; !rc && config_file_next(file, key, mapping, &at, &entry);) {
        char name[CONFIG_KEY_MAX];
        config_join_key(name, key, entry.key);
        rc = read(file, name, &entry, subject);
    }
    return rc;
}

size_t config_pairs_of(const yaml_node_t *mapping)
{
    return (size_t)(mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start);
}

static void unknown_option(
    struct config_file *file, const char *section, const struct config_entry *entry)
{
    char name[256];
    const char *known[OPTION_COUNT + 1];
    const char *elsewhere = NULL;
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(option_table[i].section, section) == 0)
            known[count++] = option_table[i].key;
        else if (strcmp(option_table[i].key, entry->key) == 0)
            elsewhere = option_table[i].section;
    }
    known[count] = NULL;
    snprintf(name, sizeof(name), "%s.%s", section, entry->key);
    if (elsewhere)
        config_file_complain(
            file, entry->key_node, name, "unknown key here; it belongs to \"%s\"", elsewhere);
    else
        config_file_unknown(file, entry, name, known);
}

/* A path in the file starts at the file's folder, wherever the program was started. */
static int anchor_path(struct config_file *file, const struct option *option)
{
    char **field = option_text_field(file->config, option);
    if (option->kind != OPTION_PATH || (*field)[0] == '\0' || (*field)[0] == '/')
        return 0;
    char *absolute = NULL;
    if (asprintf(&absolute, "%s/%s", file->folder, *field) < 0)
        return -ENOMEM;
    free(*field);
    *field = absolute;
    return 0;
}

static int read_option(
    struct config_file *file, const struct option *option, const struct config_entry *entry)
{
    char name[OPTION_NAME_MAX];
    snprintf(name, sizeof(name), "%s.%s", option->section, option->key);
    const char *text = config_file_text(file, name, entry->value);
    if (!text)
        return 0;
    int rc = option_set(file->config, option, text);
    if (rc == 0)
        return anchor_path(file, option);
    if (rc == -ENOMEM)
        return rc;
    _cleanup_(buffer_deinit) struct buffer wanted = BUFFER_INIT;
    option_append_wanted(option, &wanted);
    config_file_complain(
        file, entry->value, name, "\"%s\" is not %.*s", text, SPAN_ARG(buffer_span(&wanted)));
    return 0;
}

static int read_section(struct config_file *file, const char *section, yaml_node_t *mapping)
{
    if (mapping->type != YAML_MAPPING_NODE) {
        config_file_complain(file, mapping, section, "needs keys of its own, indented below it");
        return 0;
    }
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, section, mapping, &at, &entry)) {
        const struct option *option =
            option_find(span_of_string(section), span_of_string(entry.key));
        int rc = 0;
        if (option)
            rc = read_option(file, option, &entry);
        else
            unknown_option(file, section, &entry);
        if (rc)
            return rc;
    }
    return 0;
}

static void unknown_section(struct config_file *file, const struct config_entry *entry)
{
    const char *known[OPTION_COUNT + 2];
    size_t count = 0;
    known[count++] = "agents";
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(option_table[i].key, entry->key) == 0) {
            config_file_complain(file, entry->key_node, entry->key,
                "unknown key here; it belongs below \"%s:\"", option_table[i].section);
            return;
        }
        known[count++] = option_table[i].section;
    }
    known[count] = NULL;
    config_file_unknown(file, entry, entry->key, known);
}

static int read_root(struct config_file *file)
{
    yaml_node_t *root = yaml_document_get_root_node(&file->document);
    if (!root)
        return 0; /* an empty file changes nothing */
    if (root->type != YAML_MAPPING_NODE) {
        config_file_complain(file, root, "file", "needs sections: \"gateway:\" and the like");
        return 0;
    }
    size_t at = 0;
    struct config_entry entry;
    while (config_file_next(file, "file", root, &at, &entry)) {
        int rc = 0;
        if (strcmp(entry.key, "agents") == 0)
            rc = config_agents_read(file, entry.value);
        else if (option_section_known(span_of_string(entry.key)))
            rc = read_section(file, entry.key, entry.value);
        else
            unknown_section(file, &entry);
        if (rc)
            return rc;
    }
    return 0;
}

static void complain_of_syntax(struct config_file *file, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    const char *context = parser->context ? parser->context : "";
    problems_add(file->problems, "%s:%zu: not valid YAML: %s%s%s", file->path,
        parser->problem_mark.line + 1, problem, *context ? " " : "", context);
}

static void complain_of_rest(struct config_file *file, yaml_parser_t *parser)
{
    yaml_document_t rest;
    if (!yaml_parser_load(parser, &rest)) {
        complain_of_syntax(file, parser);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&rest);
    if (root)
        config_file_complain(file, root, "file", "a second document; only one is read");
    yaml_document_delete(&rest);
}

static int read_document(struct config_file *file, yaml_parser_t *parser)
{
    if (!yaml_parser_load(parser, &file->document)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return -ENOMEM;
        complain_of_syntax(file, parser);
        return 0;
    }
    bool empty = yaml_document_get_root_node(&file->document) == NULL;
    int rc = read_root(file);
    yaml_document_delete(&file->document);
    if (rc == 0 && !empty)
        complain_of_rest(file, parser);
    return rc;
}

static int read_stream(struct config_file *file, FILE *stream)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_file(&parser, stream);
    int rc = read_document(file, &parser);
    yaml_parser_delete(&parser);
    return rc;
}

/* The folder the file was named in, absolute, symbolic links in its own name not followed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return realpath(".", NULL);
    _cleanup_free_ char *given = strndup(path, (size_t)(slash - path) + 1);
    return given ? realpath(given, NULL) : NULL;
}

static char *inside(const char *folder, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *absolute = NULL;
    if (asprintf(&absolute, "%s/%s", folder, slash ? slash + 1 : path) < 0)
        return NULL;
    return absolute;
}

int config_file_read(struct config *config, const char *path, struct problems *problems)
{
    _cleanup_free_ char *folder = folder_of(path);
    FILE *stream = folder ? fopen(path, "re") : NULL;
    if (!stream) {
        problems_add(problems, "%s: cannot be read: %s", path, strerror(errno));
        return 0;
    }
    config->file = inside(folder, path);
    struct config_file file = {
        .path = path,
        .folder = folder,
        .config = config,
        .problems = problems,
    };
    int rc = config->file ? read_stream(&file, stream) : -ENOMEM;
    fclose(stream);
    return rc;
}
