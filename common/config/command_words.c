/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands, as lists of words. A command is run as it stands, without a shell. Its words are taken
 * like this:
 *   - the first, when it contains '/', is a path that starts at the file's folder; without '/' it
 *     is looked up in PATH;
 *   - a later word becomes absolute when it contains '/', does not begin with '/', and names
 *     something that exists below the file's folder;
 *   - every other word is left alone.
 */
#include "config/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define COMMAND_WORDS_MAX 256

void config_command_deinit(struct config_command *command)
{
    for (size_t i = 0; command->argv && command->argv[i]; i++)
        free(command->argv[i]);
    free(command->argv);
    command->argv = NULL;
}

char *config_resolve_word(const struct config_file *file, const char *word, bool first)
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
        command->argv[i] = config_resolve_word(file, word ? word : "", i == 0);
        if (!command->argv[i])
            return -ENOMEM;
    }
    if (command->argv[0][0] == '\0')
        config_file_complain(file, list, key, "the first word, the program, is empty");
    return 0;
}

int config_command_read(
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
