/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events written in place. The record of an event is claimed for the size the caller asked for, its
 * head is written, and the caller fills in `data`. The data begins where it will stay, so what the
 * library adds (as in rs_emit) goes behind its last member, and what is left of the claim is filled
 * with spaces, which JSON allows there.
 *
 * The step is checked against the grammar when it is committed, since only the data says which step
 * it is. In between the run takes no other, so that its events stand in the ring in their order.
 */
#include "base/json.h"
#include "event/record.h"
#include "request.h"

/* For what request_fill adds at most, besides a tool's name: `,"tool_name":,"duration_ms":` and a
 * number of 64 bits; the others are shorter. */
#define FILL_ROOM 48

static void put_id(char ret_id[IDENTIFIER_SIZE], struct span id)
{
    if (id.len)
        memcpy(ret_id, id.data, id.len);
    ret_id[id.len] = '\0';
}

static const char *id_or_null(const char *id)
{
    return id[0] ? id : NULL;
}

static size_t fill_room(const struct rs_run *run, const char *tool_call_id)
{
    const struct grammar_item *item =
        tool_call_id ? grammar_find(&run->grammar, GRAMMAR_TOOL, span_of_string(tool_call_id))
                     : NULL;
    return FILL_ROOM + (item ? CONTAINER_OF(item, struct rs_tool, item)->name_length : 0);
}

static struct span message_of(struct rs_run *run, enum form form,
    const struct rs_reservation *request, char made[IDENTIFIER_MADE_SIZE])
{
    if (form == FORM_TEXT)
        return run_text_id(run, request->message_id, made);
    return form == FORM_THINKING ? run_thinking_id(run, request->message_id) : SPAN_EMPTY;
}

static struct step reservation_step(const struct reservation *reservation)
{
    return (struct step){
        .event = {.type = reservation->type,
            .message_id = span_of_string(reservation->message_id),
            .tool_call_id = span_of_string(reservation->tool_call_id),
            .data = span_of(reservation->data, reservation->room)},
    };
}

/* All of the record but its data. */
static int write_head(const struct rs_run *run, const struct event *event)
{
    struct event_record record;
    char *to = run->reservation.claim.payload;
    if (event_record_encode(&record, event))
        return RS_E_INVALID;
    for (int i = 0; i < EVENT_RECORD_PARTS - 1; i++) {
        if (record.parts[i].iov_len == 0)
            continue;
        memcpy(to, record.parts[i].iov_base, record.parts[i].iov_len);
        to += record.parts[i].iov_len;
    }
    return RS_OK;
}

static int claim(struct rs_run *run, struct reservation *reservation)
{
    struct step step = reservation_step(reservation);
    struct event event = run_event(run, &step);
    size_t size = run_event_size(&event);
    int rc = run_fits(run, &step);
    if (rc)
        return rc;
    rc = emitter_hold(run->emitter, &run->stream);
    if (rc)
        return rc;
    rc = emitter_claim(
        &reservation->claim, run->emitter, &run->stream, (uint32_t)size, run_deadline(run));
    if (rc) {
        emitter_let_go(run->emitter, &run->stream);
        return rc;
    }
    reservation->data = (char *)reservation->claim.payload + size - reservation->room;
    reservation->open = true;
    return RS_OK;
}

int rs_reserve(rs_run *run, struct rs_reservation *reservation)
{
    char made[IDENTIFIER_MADE_SIZE];
    enum form form;
    if (!run || !reservation || !reservation->type || reservation->size > UINT32_MAX ||
        !valid_optional_id(reservation->message_id) ||
        !valid_optional_id(reservation->tool_call_id))
        return RS_E_INVALID;
    const struct request request = {
        .type = event_type_parse(span_of_string(reservation->type)),
        .message_id = reservation->message_id,
        .tool_call_id = reservation->tool_call_id,
    };
    int rc = request_form(&form, &request);
    if (rc == RS_OK && form == FORM_COMPLETED)
        rc = RS_E_TYPE;
    if (rc == RS_OK && run->grammar.state == GRAMMAR_NEW)
        rc = RS_E_ORDER;
    if (rc)
        return rc;
    struct reservation made_here = {.type = request.type, .size = reservation->size};
    made_here.room = reservation->size + fill_room(run, reservation->tool_call_id);
    put_id(made_here.message_id, message_of(run, form, reservation, made));
    put_id(made_here.given_id, span_of_string(reservation->message_id));
    put_id(made_here.tool_call_id, span_of_string(reservation->tool_call_id));
    rc = claim(run, &made_here);
    if (rc)
        return rc;
    run->reservation = made_here;
    reservation->data = made_here.data;
    return RS_OK;
}

/* Adds to the caller's data what it left to the library, and spaces. */
static int complete(struct rs_run *run, enum form form, const struct request *request)
{
    struct reservation *reservation = &run->reservation;
    struct span open = members_open(request->data);
    _cleanup_(buffer_deinit) struct buffer end = BUFFER_INIT;
    /* The last byte says whether a comma is wanted. */
    buffer_append(&end, open.data + open.len - 1, 1);
    request_fill(&end, run, form, request);
    size_t length = open.len - 1 + end.len;
    if (buffer_error(&end))
        return RS_E_NO_MEMORY;
    if (length > reservation->room)
        return RS_E_TOO_BIG;
    memcpy(reservation->data + open.len - 1, end.data, end.len);
    memset(reservation->data + length, ' ', reservation->room - length);
    return RS_OK;
}

static void reservation_close(struct rs_run *run)
{
    run->reservation.open = false;
    emitter_let_go(run->emitter, &run->stream);
}

static int commit(struct rs_run *run, enum form form, const struct request *request)
{
    struct step step = reservation_step(&run->reservation);
    struct taking taking;
    request_plan(&step, form, request);
    if (grammar_step_ends(step.kind))
        return RS_E_INVALID;
    int rc = run_take_begin(&taking, run, &step);
    if (rc)
        return rc;
    struct event event = run_event(run, &step);
    rc = complete(run, form, request);
    if (rc == RS_OK)
        rc = write_head(run, &event);
    if (rc) {
        run_take_end(run, &step, &taking, rc);
        return rc;
    }
    rc = emitter_commit(&run->stream, &run->reservation.claim);
    run_take_end(run, &step, &taking, rc);
    reservation_close(run);
    return rc;
}

int rs_commit(rs_run *run, size_t length)
{
    enum form form;
    if (!run)
        return RS_E_INVALID;
    if (!run->reservation.open)
        return RS_E_ORDER;
    if (emitter_is_forked(run->emitter))
        return RS_E_FORKED;
    if (length > run->reservation.size)
        return RS_E_INVALID;
    const struct request request = {
        .type = run->reservation.type,
        .message_id = id_or_null(run->reservation.given_id),
        .tool_call_id = id_or_null(run->reservation.tool_call_id),
        .data = span_of(run->reservation.data, length),
    };
    int rc = request_form(&form, &request);
    if (rc == RS_OK)
        rc = members_check(form, request.data);
    return rc ? rc : commit(run, form, &request);
}

void run_abandon(struct rs_run *run)
{
    if (!run->reservation.open)
        return;
    ring_abandon(&run->stream.held->writer, &run->reservation.claim);
    reservation_close(run);
}

void rs_abandon(rs_run *run)
{
    if (run)
        run_abandon(run);
}
