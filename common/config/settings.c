/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's `settings:`, any YAML, as JSON for the agent's program. A plain scalar that is a JSON
 * number, true, false or null is that; everything else is text.
 */
#include "config/file.h"

#include "base/json.h"
#include "base/json_scan.h"

#include <errno.h>

/* An alias may lead back to what it stands in. */
#define DEPTH_MAX 32

struct writer {
    struct config_file *file;
    const char *key; /* "agents.NAME.settings" */
    struct buffer out;
    unsigned depth;
};

static bool is_literal(const yaml_node_t *node, struct span text)
{
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || text.len == 0)
        return false;
    return text.data[0] != '"' && text.data[0] != '{' && text.data[0] != '[' &&
           text.data[0] != ' ' && json_scan_valid(text);
}

static void write_scalar(struct writer *writer, const yaml_node_t *node)
{
    struct span text = span_of(node->data.scalar.value, node->data.scalar.length);
    if (text.len == 0 && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        buffer_append_string(&writer->out, "null");
    else if (is_literal(node, text))
        buffer_append_span(&writer->out, text);
    else
        json_append_string(&writer->out, text);
}

static void write_node(struct writer *writer, yaml_node_t *node);

static void write_list(struct writer *writer, const yaml_node_t *node)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;
    buffer_append_char(&writer->out, '[');
    for (; item < node->data.sequence.items.top; item++) {
        if (item > node->data.sequence.items.start)
            buffer_append_char(&writer->out, ',');
        write_node(writer, yaml_document_get_node(&writer->file->document, *item));
    }
    buffer_append_char(&writer->out, ']');
}

static void write_mapping(struct writer *writer, yaml_node_t *node)
{
    struct config_entry entry;
    size_t at = 0;
    bool first = true;
    buffer_append_char(&writer->out, '{');
    while (config_file_next(writer->file, writer->key, node, &at, &entry)) {
        if (!first)
            buffer_append_char(&writer->out, ',');
        first = false;
        json_append_string(&writer->out, span_of_string(entry.key));
        buffer_append_char(&writer->out, ':');
        write_node(writer, entry.value);
    }
    buffer_append_char(&writer->out, '}');
}

static void write_node(struct writer *writer, yaml_node_t *node)
{
    if (writer->depth == DEPTH_MAX) {
        config_file_complain(
            writer->file, node, writer->key, "is nested more than %d deep", DEPTH_MAX);
        buffer_append_string(&writer->out, "null");
        return;
    }
    writer->depth++;
    switch (node->type) {
    case YAML_MAPPING_NODE: write_mapping(writer, node); break;
    case YAML_SEQUENCE_NODE: write_list(writer, node); break;
    default: write_scalar(writer, node);
    }
    writer->depth--;
}

int config_settings_read(
    struct config_file *file, const char *key, yaml_node_t *node, char **settings)
{
    struct writer writer = {.file = file, .key = key};
    if (node->type != YAML_MAPPING_NODE) {
        config_file_complain(file, node, key, "needs settings by name, indented below it");
        return 0;
    }
    write_node(&writer, node);
    buffer_append_char(&writer.out, '\0');
    if (buffer_error(&writer.out)) {
        buffer_deinit(&writer.out);
        return -ENOMEM;
    }
    free(*settings);
    *settings = writer.out.data;
    return 0;
}
