/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest complete agent in C: says back what it is told, word by word.
 *
 * An agent reads JSON-RPC 2.0 from stdin and writes it to stdout, one message a line; one process
 * serves one run. JSON is jansson's. Build: cc echo.c -ljansson
 */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void send_message(json_t *message)
{
    json_object_set_new(message, "jsonrpc", json_string("2.0"));
    json_dumpf(message, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(message);
}

static void answer(const json_t *request, json_t *result)
{
    send_message(json_pack("{s:O, s:o}", "id", json_object_get(request, "id"), "result", result));
}

/* The next message, or NULL when the worker has closed our stdin. */
static json_t *receive(void)
{
    static char *line;
    static size_t size;
    return getline(&line, &size, stdin) < 0 ? NULL : json_loads(line, 0, NULL);
}

/* stdin is unbuffered, so what has come can be polled for: after `run/start` only a cancel comes.
 */
static int was_cancelled(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static void say(const char *text, size_t length)
{
    send_message(json_pack("{s:s, s:{s:s, s:{s:s%}}}", "method", "event", "params", "type",
        "partial_result", "data", "delta", text, length));
}

/* A message is a string, or a list of parts of which some have a text. */
static void append_content(char **out, size_t *length, const json_t *content)
{
    FILE *text = open_memstream(out, length);
    size_t i;
    json_t *part;
    if (!text)
        exit(1);
    if (json_is_string(content))
        fputs(json_string_value(content), text);
    json_array_foreach(content, i, part)
    {
        const char *piece = json_string_value(json_object_get(part, "text"));
        fprintf(text, "%s%s", i ? " " : "", piece ? piece : "");
    }
    fclose(text);
}

static void run(const json_t *params)
{
    char *content = NULL;
    size_t length = 0;
    json_int_t words = 0;
    append_content(&content, &length, json_object_get(json_object_get(params, "input"), "content"));
    for (const char *at = content; *at; words++) {
        size_t word = strspn(at, " ") + strcspn(at + strspn(at, " "), " ");
        if (was_cancelled()) {
            send_message(json_pack(
                "{s:s, s:{s:s}}", "method", "run/finished", "params", "outcome", "cancelled"));
            free(content);
            return;
        }
        say(at, word);
        at += word;
    }
    free(content);
    send_message(json_pack(
        "{s:s, s:{s:{s:I}}}", "method", "run/finished", "params", "result", "words", words));
}

/* False when nothing more will come. */
static int handle(const json_t *message)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    if (!method)
        return 1;
    if (strcmp(method, "initialize") == 0) { /* who are you? */
        answer(message, json_pack("{s:s, s:s}", "name", "echo", "version", "1"));
    } else if (strcmp(method, "run/start") == 0) { /* first say yes, then do it */
        answer(message, json_object());
        run(json_object_get(message, "params"));
    }
    return strcmp(method, "shutdown") != 0;
}

int main(void)
{
    json_t *message;
    int more = 1;
    setvbuf(stdin, NULL, _IONBF, 0);
    while (more && (message = receive())) {
        more = handle(message);
        json_decref(message);
    }
    return 0;
}
