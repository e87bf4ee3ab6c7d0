/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include "admin/status.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

static bool admin_status(struct admin_request *request)
{
    status_append(request->broker, request->out);
    return true;
}

static const struct {
    const char *what;
    bool (*answer)(struct admin_request *request);
} kinds[] = {
    {"status", admin_status},
    {"runs", admin_runs},
    {"run", admin_run},
    {"users", admin_users},
    {"user", admin_user},
    {"workers", admin_workers},
    {"gateways", admin_gateways},
    {"agents", admin_agents},
    {"kick", admin_kick},
    {"pause", admin_pause},
    {"resume", admin_resume},
    {"drain", admin_drain},
};

bool admin_refuse(struct admin_request *request, const char *code, const char *message)
{
    *request->refusal = (struct control_refusal){.code = code, .message = message};
    return false;
}

bool admin_filter(struct admin_request *request, const char *name, struct span *ret_id)
{
    const json_t *value = json_object_get(request->argument, name);
    *ret_id = SPAN_EMPTY;
    return !value || admin_identifier(request, name, ret_id);
}

bool admin_identifier(struct admin_request *request, const char *name, struct span *ret_id)
{
    const json_t *value = json_object_get(request->argument, name);
    struct span id = span_of(json_string_value(value), json_string_length(value));
    if (!identifier_valid(id))
        return admin_refuse(request, "invalid_argument", "a name that is no identifier");
    *ret_id = id;
    return true;
}

/* ---- pages */

bool admin_page_begin(struct admin_page *page, struct admin_request *request, const char *name)
{
    const char *text = json_string_value(json_object_get(request->argument, "after"));
    char *end = NULL;
    *page = (struct admin_page){.request = request};
    page->cursor = text ? strtoull(text, &end, 16) : 0;
    if (text && (end == text || *end))
        return admin_refuse(request, "invalid_argument", "\"after\" is not the cursor of a page");
    buffer_append_char(request->out, '{');
    json_append_name(request->out, name);
    buffer_append_char(request->out, '[');
    return true;
}

bool admin_page_has_room(const struct admin_page *page)
{
    return page->rows < ADMIN_PAGE_ROWS && page->looks < ADMIN_PAGE_LOOKS;
}

void admin_page_row(struct admin_page *page)
{
    buffer_append_string(page->request->out, page->rows++ ? ",{" : "{");
}

void admin_page_end(struct admin_page *page)
{
    buffer_append_char(page->request->out, ']');
    if (page->cursor) {
        json_append_name(page->request->out, "next");
        buffer_printf(page->request->out, "\"%" PRIx64 "\"", page->cursor);
    }
    buffer_append_char(page->request->out, '}');
}

/* ---- the way in */

static bool answer(struct admin_request *request, struct span what)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (span_is(what, kinds[i].what))
            return kinds[i].answer(request);
    }
    return admin_refuse(request, "unknown_query", "this broker does not know the query");
}

bool admin_answer(void *context, struct span what, struct span argument, struct buffer *out,
    struct control_refusal *ret_refusal)
{
    if (span_is(what, "backup"))
        return admin_backup(context, argument, out);
    if (span_is(what, "hand_over"))
        return admin_hand_over(context, argument, out);
    const char *text = argument.len ? argument.data : "{}";
    json_t *object =
        json_loadb(text, argument.len ? argument.len : 2, JSON_REJECT_DUPLICATES, NULL);
    struct admin_request request = {
        .broker = context, .argument = object, .out = out, .refusal = ret_refusal};
    bool done = json_is_object(object)
                    ? answer(&request, what)
                    : admin_refuse(&request, "invalid_argument", "the argument is no JSON object");
    json_decref(object);
    if (done && buffer_error(out))
        return admin_refuse(&request, "internal", "the broker is out of memory");
    return done;
}
