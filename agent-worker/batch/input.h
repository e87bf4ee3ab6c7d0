/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/identifier.h"
#include "base/map.h"

#include "agents/registry.h"

/*
 * The requests of a batch: a file of JSON lines. It is read twice: once as a whole, to check every
 * line and to know which requests there are; then each line again when its turn comes, so that
 * memory holds identifiers and places, not contents.
 */
#define BATCH_LINE_MAX (16u << 20)
#define BATCH_USER "batch"

struct batch_request {
    char *id;
    uint64_t offset;
    uint32_t length; /* bytes of its line */
    bool done;       /* has its result */
    uint64_t line;   /* from 1 */
    unsigned attempts;
};

struct batch_input {
    int fd;
    char *default_agent;
    const struct registry *registry; /* borrowed */
    struct batch_request *requests;
    size_t count, cap;
    struct map by_id;
    uint64_t malformed; /* lines that are no requests */
};

/* One request in full. Spans point into `line`. */
struct batch_content {
    struct buffer line;
    struct span content; /* JSON */
    char agent[IDENTIFIER_SIZE];
    char user_id[IDENTIFIER_SIZE];
    char thread_id[IDENTIFIER_SIZE];
};

/* Told of each line that is no request. */
typedef void (*batch_malformed_fn)(void *context, uint64_t line, const char *reason);

struct batch_input_options {
    const char *path; /* "-": stdin, which is read to its end first */
    const char *default_agent;
    const struct registry *registry;
    batch_malformed_fn malformed;
    void *context;
};

/* -errno when the file cannot be read; deinitialised in any case by batch_input_deinit. */
int batch_input_init(struct batch_input *input, const struct batch_input_options *options);
void batch_input_deinit(struct batch_input *input);
/* NULL when there is no such request. */
struct batch_request *batch_input_find(const struct batch_input *input, struct span id);
/* The request as its line says it now. `ret_content` is the caller's, kept from one to the next;
 * -EIO when the line is not the one that was checked any more. */
int batch_input_read(const struct batch_input *input, const struct batch_request *request,
    struct batch_content *ret_content);
