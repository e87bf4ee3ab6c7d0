/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/transfer.h"

#include "llm/chunk.h"
#include "json/view.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_member.h"
#include "base/json_scan.h"

#include <errno.h>

#define REST_MAX 8192
#define DETAIL_MAX 300

/* ---- what comes */

static bool is_event_stream(CURL *easy)
{
    const char *type = NULL;
    static const char wanted[] = "text/event-stream";
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    return !type || strncasecmp(type, wanted, sizeof(wanted) - 1) == 0;
}

static long status_of(const struct llm_transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct llm_transfer *transfer = context;
    (void)data;
    transfer->heard_ms = clock_monotonic_ms();
    return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct llm_transfer *transfer = context;
    size_t len = size * count;
    transfer->heard_ms = clock_monotonic_ms();
    if (!transfer->judged) {
        transfer->judged = true;
        transfer->streams = status_of(transfer) == 200 && is_event_stream(transfer->easy);
    }
    if (!transfer->streams) {
        size_t room = REST_MAX - transfer->rest.len;
        buffer_append(&transfer->rest, data, len < room ? len : room);
        return transfer->rest.len < REST_MAX ? len : CURL_WRITEFUNC_ERROR;
    }
    if (!transfer->options.has_room(transfer->options.context)) {
        transfer->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    bool more = transfer->options.take(transfer->options.context, span_of(data, len));
    return more ? len : CURL_WRITEFUNC_ERROR;
}

/* ---- asking */

static int add_header(struct llm_transfer *transfer, const struct buffer *line)
{
    struct curl_slist *longer =
        buffer_error(line) ? NULL : curl_slist_append(transfer->headers, line->data);
    if (!longer)
        return -ENOMEM;
    transfer->headers = longer;
    return 0;
}

static int add_own_headers(struct llm_transfer *transfer)
{
    static const char *const own[] = {
        "Content-Type: application/json", "Accept: text/event-stream", "Expect:"};
    int rc = 0;
    for (size_t i = 0; !rc && i < ARRAY_SIZE(own); i++) {
        struct buffer line = BUFFER_INIT;
        buffer_append_string(&line, own[i]);
        buffer_append_char(&line, '\0');
        rc = add_header(transfer, &line);
        buffer_deinit(&line);
    }
    return rc;
}

static int add_headers(struct llm_transfer *transfer)
{
    struct json_member member;
    int rc = add_own_headers(transfer);
    for (size_t at = 0;
         !rc && json_member_next(&member, transfer->options.provider->headers, &at);) {
        struct buffer line = BUFFER_INIT;
        struct span value = SPAN_EMPTY;
        (void)json_plain_string(&value, member.value);
        buffer_append_span(&line, member.name);
        buffer_append_string(&line, ": ");
        buffer_append_span(&line, value);
        buffer_append_char(&line, '\0');
        rc = add_header(transfer, &line);
        buffer_deinit(&line);
    }
    return rc;
}

static int add_key(struct llm_transfer *transfer)
{
    struct buffer key = BUFFER_INIT, line = BUFFER_INIT;
    int rc = llm_provider_key(transfer->options.provider, &key);
    if (!rc && key.len) {
        buffer_append_string(&line, "Authorization: Bearer ");
        buffer_append_span(&line, buffer_span(&key));
        buffer_append_char(&line, '\0');
        rc = add_header(transfer, &line);
    }
    buffer_deinit(&key);
    buffer_deinit(&line);
    return rc;
}

static void set_up(struct llm_transfer *transfer)
{
    const struct llm_transfer_options *options = &transfer->options;
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, options->provider->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ringside/" RINGSIDE_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, options->body.data);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->settings->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->settings->request_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

int llm_transfer_start(
    struct llm_transfer *transfer, const struct llm_transfer_options *options, uint64_t now)
{
    *transfer =
        (struct llm_transfer){.options = *options, .easy = curl_easy_init(), .started_ms = now};
    int rc = transfer->easy ? add_headers(transfer) : -ENOMEM;
    if (!rc)
        rc = add_key(transfer);
    if (!rc) {
        set_up(transfer);
        rc = curl_multi_add_handle(options->multi, transfer->easy) == CURLM_OK ? 0 : -ENOMEM;
    }
    if (rc)
        llm_transfer_stop(transfer);
    return rc;
}

void llm_transfer_stop(struct llm_transfer *transfer)
{
    if (transfer->easy) {
        curl_multi_remove_handle(transfer->options.multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->headers);
    buffer_deinit(&transfer->rest);
    *transfer = (struct llm_transfer){0};
}

/* ---- time */

uint64_t llm_transfer_due(const struct llm_transfer *transfer)
{
    const struct llm_settings *settings = transfer->options.settings;
    if (!transfer->easy || transfer->paused)
        return UINT64_MAX;
    return transfer->heard_ms ? transfer->heard_ms + settings->idle_timeout_ms
                              : transfer->started_ms + settings->first_byte_timeout_ms;
}

void llm_transfer_resume(struct llm_transfer *transfer, uint64_t now)
{
    if (!transfer->easy || !transfer->paused)
        return;
    transfer->paused = false;
    transfer->heard_ms = now;
    curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
}

/* ---- the end */

static void append_detail(struct buffer *out, struct span text)
{
    size_t len = text.len < DETAIL_MAX ? text.len : DETAIL_MAX;
    while (len && len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--;
    for (size_t i = 0; i < len; i++)
        buffer_append_char(out, (unsigned char)text.data[i] < ' ' ? ' ' : text.data[i]);
}

static void judge_status(const struct llm_transfer *transfer, struct llm_outcome *outcome)
{
    struct llm_server_error error;
    llm_server_error_of_body(&error, buffer_span(&transfer->rest));
    outcome->failure = llm_failure_of_status(outcome->status, error.no_quota);
    buffer_printf(&outcome->detail, "status %ld", outcome->status);
    if (error.message.len) {
        buffer_append_string(&outcome->detail, ": ");
        append_detail(&outcome->detail, buffer_span(&error.message));
    }
    buffer_deinit(&error.message);
}

static void judge_type(const struct llm_transfer *transfer, struct llm_outcome *outcome)
{
    const char *type = NULL;
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    outcome->failure = LLM_BAD_RESPONSE;
    buffer_append_string(&outcome->detail, "its answer is of the type ");
    struct span text = span_of_string(type ? type : "none");
    append_detail(&outcome->detail, utf8_valid(text) ? text : SPAN_LITERAL("?"));
}

static void judge(const struct llm_transfer *transfer, CURLcode code, struct llm_outcome *outcome)
{
    curl_off_t retry_after = 0;
    outcome->status = status_of(transfer);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
    outcome->retry_after_ms = retry_after > 0 ? (uint64_t)retry_after * 1000 : 0;
    if (code == CURLE_OPERATION_TIMEDOUT) {
        outcome->failure = LLM_TIMEOUT;
        buffer_append_string(&outcome->detail, curl_easy_strerror(code));
    } else if (outcome->status && outcome->status != 200) {
        judge_status(transfer, outcome);
    } else if (transfer->judged && !transfer->streams) {
        judge_type(transfer, outcome);
    } else if (code != CURLE_OK) {
        outcome->failure = LLM_UNAVAILABLE;
        outcome->broke = transfer->judged;
        buffer_append_string(&outcome->detail, curl_easy_strerror(code));
    }
}

bool llm_transfer_ended(
    struct llm_transfer *transfer, struct llm_outcome *ret_outcome, uint64_t now)
{
    int left;
    CURLMsg *message;
    *ret_outcome = (struct llm_outcome){.failure = LLM_OK};
    while ((message = curl_multi_info_read(transfer->options.multi, &left))) {
        if (message->msg == CURLMSG_DONE && message->easy_handle == transfer->easy) {
            judge(transfer, message->data.result, ret_outcome);
            return true;
        }
    }
    if (now < llm_transfer_due(transfer))
        return false;
    ret_outcome->failure = LLM_TIMEOUT;
    ret_outcome->status = status_of(transfer);
    buffer_append_string(&ret_outcome->detail,
        transfer->heard_ms ? "no more of the answer came" : "the answer did not begin");
    return true;
}
