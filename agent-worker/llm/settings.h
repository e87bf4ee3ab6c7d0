/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/retry.h"

#include "base/buffer.h"

/*
 * The settings of an agent that is a language model; docs/llm.md is their reference. Spans are JSON
 * and point into `text`.
 */
#define LLM_PROVIDERS_MAX 8

struct llm_provider {
    char *url; /* with /chat/completions behind it */
    struct span model;
    char *key_file; /* these two: NULL when not given */
    char *key_env;
    struct span headers;    /* an object of strings, or empty */
    struct span parameters; /* an object, or empty */
    bool usage;
};

struct llm_settings {
    char *text; /* the settings as they were given */
    struct llm_provider providers[LLM_PROVIDERS_MAX];
    size_t provider_count;
    struct span system; /* a string, or empty */
    struct span parameters;
    uint64_t history; /* messages */
    uint64_t max_steps;
    uint64_t parallel_tools;
    uint64_t budget; /* tokens, 0 for none */
    uint64_t coalesce_ms;
    uint64_t retries;
    uint64_t retry_wait_ms;
    uint64_t max_wait_ms;
    uint64_t connect_timeout_ms;
    uint64_t first_byte_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t request_timeout_ms;
};

/*
 * Reads them; every mistake becomes a line in `problems`. -EINVAL when there are any; -ENOMEM. No
 * file is looked at.
 */
int llm_settings_init(struct llm_settings *ret_settings, struct span json, struct buffer *problems);
void llm_settings_deinit(struct llm_settings *settings);
/* A line for each provider whose key cannot be had. */
void llm_settings_check_keys(const struct llm_settings *settings, struct buffer *problems);
/* A provider's key from where it is; nothing when it needs none. -errno: -ENOENT as well when there
 * is no such variable; -EINVAL when what is there cannot be a key. */
int llm_provider_key(const struct llm_provider *provider, struct buffer *ret_key);
