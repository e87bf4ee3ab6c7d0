/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/settings.h"

#include <curl/curl.h>

/*
 * One request to a model's server and its answer, over libcurl. What of the answer is an event
 * stream goes to the caller as it comes; of anything else the beginning is kept, since it may say
 * what is wrong. At most one is under way in a multi handle.
 */
struct llm_transfer_options {
    CURLM *multi;
    const struct llm_settings *settings;
    const struct llm_provider *provider;
    struct span body; /* the request; borrowed until the end */
    /* False ends the transfer. Called from within curl_multi_perform. */
    bool (*take)(void *context, struct span bytes);
    /* Whether there is room: otherwise the answer is not read until llm_transfer_resume. */
    bool (*has_room)(void *context);
    void *context;
};

struct llm_transfer {
    struct llm_transfer_options options;
    CURL *easy; /* NULL: none is under way */
    struct curl_slist *headers;
    struct buffer rest; /* of an answer that is no event stream */
    uint64_t started_ms;
    uint64_t heard_ms; /* when the last bytes came; 0: none */
    bool judged;       /* `streams` is known */
    bool streams;
    bool paused;
};

/* What came of it. */
struct llm_outcome {
    enum llm_failure failure; /* LLM_OK: the server answered with an event stream, all of it */
    long status;              /* 0: there was no answer */
    uint64_t retry_after_ms;
    struct buffer detail; /* for people, in UTF-8; the caller's to free */
    bool broke;           /* the answer had begun, and did not end */
};

/* 0; -errno when the request could not even be made, as llm_provider_key says. */
int llm_transfer_start(
    struct llm_transfer *transfer, const struct llm_transfer_options *options, uint64_t now);
/* When it will have taken too long, unless something comes. */
uint64_t llm_transfer_due(const struct llm_transfer *transfer);
void llm_transfer_resume(struct llm_transfer *transfer, uint64_t now);
/* True when it has ended; it is to be stopped then. */
bool llm_transfer_ended(
    struct llm_transfer *transfer, struct llm_outcome *ret_outcome, uint64_t now);
/* Whatever it does; also when none is under way. */
void llm_transfer_stop(struct llm_transfer *transfer);
