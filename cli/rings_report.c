/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an arena holds, collected as jansson values, which are written out as they are or, a part
 * of them, as tables.
 */
#include "rings_report.h"
#include "table.h"

#include "base/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

struct sums {
    uint64_t rings;
    uint64_t users;
    uint64_t held;
    uint64_t records;
    uint64_t in_flight;
    uint64_t bad;
    uint64_t live;
    uint64_t dead;
    uint64_t by_class[LAYOUT_CLASSES_MAX];
};

struct report {
    const struct inspect *view;
    const struct rings_wish *wish;
    struct inspect_arena arena;
    struct sums sums;
    json_t *rings;
    json_t *processes;
    json_t *slots;
};

static const char *const states[] = {
    [INSPECT_OPEN] = "open",
    [INSPECT_GROWN] = "outgrown",
    [INSPECT_RETIRED] = "retired",
    [INSPECT_RETIRING] = "being retired",
    [INSPECT_QUARANTINED] = "quarantined",
    [INSPECT_DAMAGED] = "damaged",
};

static json_t *known(bool is_known, json_int_t value)
{
    return is_known ? json_integer(value) : json_null();
}

static json_t *life(enum inspect_life value)
{
    return value == INSPECT_UNKNOWN ? json_null() : json_boolean(value == INSPECT_LIVE);
}

static json_t *hexadecimal(uint64_t value)
{
    char text[17];
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)value);
    return json_string(text);
}

/* An identifier may be any bytes here; what is no UTF-8 is shown by its tag. */
static json_t *user_of(const struct inspect_ring *ring)
{
    json_t *user = ring->user_id[0] ? json_string(ring->user_id) : NULL;
    return user ? user : json_null();
}

/* ---- rings and their claims */

static void add_claim(void *userdata, const struct inspect_claim *claim)
{
    const struct inspect_slot *owner = &claim->owner;
    /* The arena keeps no times, and the hot path takes none: how old a claim is cannot be known. */
    json_array_append_new(userdata,
        json_pack("{s:I, s:I, s:s, s:I, s:o, s:o, s:o, s:n}", "position", (json_int_t)claim->begin,
            "bytes", (json_int_t)claim->bytes, "control",
            claim->headed ? "busy" : "free, claimed in the tail", "owner", (json_int_t)owner->owner,
            "process", known(owner->process >= 0, owner->process), "pid",
            known(owner->pid > 0, owner->pid), "live", life(owner->life), "age_ms"));
}

static json_t *ring_value(const struct inspect_ring *ring, json_t *claims)
{
    double fill = (double)ring->held_bytes / (double)ring->capacity_bytes;
    return json_pack("{s:I, s:o, s:o, s:I, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I,"
                     " s:I, s:b, s:b, s:s?, s:o}",
        "ring", (json_int_t)ring->ring, "user", user_of(ring), "user_tag",
        hexadecimal(ring->user_tag), "generation", (json_int_t)ring->generation, "state",
        states[ring->state], "class", (json_int_t)ring->class_number, "capacity_bytes",
        (json_int_t)ring->capacity_bytes, "held_bytes", (json_int_t)ring->held_bytes, "fill", fill,
        "spilled_bytes", (json_int_t)ring->spilled_bytes, "records", (json_int_t)ring->committed,
        "skipped", (json_int_t)ring->skipped, "tail", (json_int_t)ring->tail, "consumed",
        (json_int_t)ring->consumed, "freed", (json_int_t)ring->freed, "durable",
        (json_int_t)ring->durable, "marked", (int)ring->marked, "moving", (int)ring->moving, "note",
        ring->note, "claims", claims);
}

static void sum_up(struct sums *sums, const struct inspect_ring *ring)
{
    bool bad = ring->state == INSPECT_QUARANTINED || ring->state == INSPECT_DAMAGED;
    sums->rings++;
    sums->users += ring->class_number == 0;
    sums->held += ring->held_bytes;
    sums->records += ring->committed;
    sums->in_flight += ring->in_flight;
    sums->bad += bad;
    /* An outgrown ring that was drained has given its memory back, or is about to. */
    if (ring->state != INSPECT_GROWN || ring->held_bytes > 0)
        sums->by_class[ring->class_number]++;
}

/* Tables leave out what nobody would look for. */
static bool is_wanted(const struct rings_wish *wish, const struct inspect_ring *ring)
{
    if (wish->user)
        return strcmp(wish->user, ring->user_id) == 0;
    return wish->json || wish->all || ring->held_bytes > 0 || ring->note ||
           ring->state == INSPECT_QUARANTINED || ring->state == INSPECT_DAMAGED;
}

static void collect_rings(struct report *report)
{
    for (uint32_t number = 0; number < report->arena.ring_count; number++) {
        struct inspect_ring ring;
        json_t *claims = json_array();
        if (inspect_ring(&ring, report->view, number, add_claim, claims)) {
            sum_up(&report->sums, &ring);
            if (is_wanted(report->wish, &ring)) {
                json_array_append_new(report->rings, ring_value(&ring, claims));
                continue;
            }
        }
        json_decref(claims);
    }
}

/* ---- processes, slots, memory */

static void collect_processes(struct report *report)
{
    for (uint32_t index = 0; index < report->arena.process_count; index++) {
        struct inspect_process process;
        if (!inspect_process(&process, report->view, index))
            continue;
        report->sums.live += process.life == INSPECT_LIVE;
        report->sums.dead += process.life == INSPECT_DEAD;
        json_array_append_new(report->processes,
            json_pack("{s:I, s:I, s:o, s:I, s:I}", "process", (json_int_t)process.index, "pid",
                (json_int_t)process.pid, "live", life(process.life), "incarnation",
                (json_int_t)process.incarnation, "slots", (json_int_t)process.slots));
    }
}

static void collect_slots(struct report *report)
{
    for (uint32_t owner = 1; owner <= report->arena.slot_count; owner++) {
        struct inspect_slot slot;
        if (!inspect_slot(&slot, report->view, owner))
            continue;
        json_array_append_new(
            report->slots, json_pack("{s:I, s:o, s:o, s:o, s:o}", "owner", (json_int_t)slot.owner,
                               "process", known(slot.process >= 0, slot.process), "pid",
                               known(slot.pid > 0, slot.pid), "live", life(slot.life),
                               "current_ring", known(slot.current_ring >= 0, slot.current_ring)));
    }
}

static json_t *memory_value(const struct report *report)
{
    json_t *memory = json_array();
    for (uint32_t c = 0; c < report->arena.class_count; c++) {
        json_int_t each = (json_int_t)report->arena.class_bytes[c];
        json_int_t count = (json_int_t)report->sums.by_class[c];
        json_array_append_new(
            memory, json_pack("{s:I, s:I, s:I, s:I}", "class", (json_int_t)c, "ring_bytes", each,
                        "rings", count, "bytes", count * each));
    }
    return memory;
}

static json_t *counters_value(const struct report *report)
{
    struct inspect_counter counters[INSPECT_COUNTERS];
    json_t *value = json_array();
    inspect_counters(counters, report->view);
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
        json_array_append_new(
            value, json_pack("{s:s, s:I, s:s}", "name", counters[i].name, "value",
                       (json_int_t)counters[i].value, "meaning", counters[i].meaning));
    return value;
}

static json_t *totals_value(const struct report *report)
{
    const struct sums *sums = &report->sums;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "users",
        (json_int_t)sums->users, "rings", (json_int_t)sums->rings, "held_bytes",
        (json_int_t)sums->held, "spilled_payloads", (json_int_t)report->arena.spilled,
        "spilled_bytes", (json_int_t)report->arena.spilled_bytes, "records",
        (json_int_t)sums->records, "claims_in_flight", (json_int_t)sums->in_flight,
        "quarantined_or_damaged", (json_int_t)sums->bad, "processes_live", (json_int_t)sums->live,
        "processes_dead", (json_int_t)sums->dead, "slots_taken",
        (json_int_t)json_array_size(report->slots));
}

static json_t *arena_value(const struct report *report)
{
    const struct inspect_arena *arena = &report->arena;
    return json_pack("{s:s, s:o, s:I, s:o, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "path",
        report->wish->path, "arena_id", hexadecimal(arena->arena_id), "layout_version",
        (json_int_t)arena->layout_version, "broker_live", life(arena->owner), "allocated_bytes",
        (json_int_t)arena->allocated_bytes, "table_bytes", (json_int_t)arena->table_bytes,
        "file_bytes", (json_int_t)arena->file_bytes, "limit_bytes",
        known(arena->memory_limit > 0, (json_int_t)arena->memory_limit), "users_max",
        (json_int_t)arena->user_count, "processes_max", (json_int_t)arena->process_count,
        "slots_max", (json_int_t)arena->slot_count, "spilled_payloads_max",
        (json_int_t)arena->spill_count);
}

/* ---- for people */

struct place {
    json_t *ring;
    double fill;
    json_int_t number;
};

static int by_fill(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    if (left->fill != right->fill)
        return left->fill < right->fill ? 1 : -1;
    return left->number < right->number ? -1 : 1;
}

/* A new reference to a member; what is not known is said so. */
static json_t *member_or_unknown(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return !value || json_is_null(value) ? json_string("unknown") : json_incref(value);
}

static json_t *row_of(const json_t *object, const char *const *names)
{
    json_t *row = json_object();
    for (; *names; names++)
        json_object_set_new(row, *names, member_or_unknown(object, *names));
    return row;
}

static json_t *ring_row(const json_t *ring)
{
    static const char *const names[] = {
        "user", "ring", "state", "held_bytes", "capacity_bytes", "spilled_bytes", "records", NULL};
    static const char *const positions[] = {"tail", "consumed", "freed", "durable", NULL};
    const json_t *note = json_object_get(ring, "note");
    char fill[32];
    json_t *row = row_of(ring, names), *rest = row_of(ring, positions);
    snprintf(fill, sizeof(fill), "%.1f %%", 100 * json_number_value(json_object_get(ring, "fill")));
    json_object_set_new(row, "fill", json_string(fill));
    json_object_set_new(row, "in_flight",
        json_integer((json_int_t)json_array_size(json_object_get(ring, "claims"))));
    json_object_update(row, rest);
    json_decref(rest);
    if (json_is_string(note))
        json_object_set_new(row, "note", json_incref((json_t *)(uintptr_t)note));
    return row;
}

static void add_claim_rows(json_t *rows, const json_t *ring)
{
    static const char *const names[] = {
        "position", "bytes", "control", "owner", "process", "pid", "live", "age_ms", NULL};
    size_t i;
    json_t *claim;
    json_array_foreach(json_object_get(ring, "claims"), i, claim)
    {
        json_t *row = json_pack("{s:O}", "user", json_object_get(ring, "user"));
        json_t *rest = row_of(claim, names);
        json_object_update(row, rest);
        json_decref(rest);
        json_array_append_new(rows, row);
    }
}

/* Without memory they stay in the order of the arena. */
static void sort_rings(json_t *rings)
{
    size_t count = json_array_size(rings);
    struct place *order = calloc(count + 1, sizeof(*order));
    if (!order)
        return;
    for (size_t i = 0; i < count; i++) {
        json_t *ring = json_incref(json_array_get(rings, i));
        order[i] = (struct place){ring, json_number_value(json_object_get(ring, "fill")),
            json_integer_value(json_object_get(ring, "ring"))};
    }
    qsort(order, count, sizeof(*order), by_fill);
    json_array_clear(rings);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rings, order[i].ring);
    free(order);
}

/* Those who stand in a ring, unless all are wanted. */
static json_t *slot_rows(const struct report *report)
{
    static const char *const names[] = {"owner", "process", "pid", "live", "current_ring", NULL};
    json_t *rows = json_array();
    size_t i;
    json_t *slot;
    json_array_foreach(report->slots, i, slot)
    {
        if (report->wish->all || !json_is_null(json_object_get(slot, "current_ring")))
            json_array_append_new(rows, row_of(slot, names));
    }
    return rows;
}

static json_t *process_rows(const struct report *report)
{
    static const char *const names[] = {"process", "pid", "live", "incarnation", "slots", NULL};
    json_t *rows = json_array();
    size_t i;
    json_t *process;
    json_array_foreach(report->processes, i, process)
        json_array_append_new(rows, row_of(process, names));
    return rows;
}

static int append_tables(struct buffer *out, const struct report *report)
{
    size_t found = json_array_size(report->rings), shown = found, i;
    json_t *rings = json_array(), *claims = json_array(), *arena = arena_value(report);
    json_t *ring, *tables;
    if (!report->wish->all && !report->wish->user && shown > RINGS_SHOWN)
        shown = RINGS_SHOWN;
    sort_rings(report->rings);
    json_array_foreach(report->rings, i, ring)
    {
        if (i < shown)
            json_array_append_new(rings, ring_row(ring));
        add_claim_rows(claims, ring);
    }
    if (report->arena.owner == INSPECT_UNKNOWN)
        json_object_set_new(arena, "broker_live", json_string("unknown"));
    tables = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "arena", arena, "totals",
        totals_value(report), "memory", memory_value(report), "rings", rings, "claims_in_flight",
        claims, "processes", process_rows(report), "slots", slot_rows(report), "counters",
        counters_value(report));
    table_append(out, tables);
    json_decref(tables);
    if (shown < found)
        buffer_printf(
            out, "\n%zu more rings hold something; --all shows every one\n", found - shown);
    return 0;
}

static int append_json(struct buffer *out, const struct report *report)
{
    json_t *value = json_pack("{s:o, s:o, s:o, s:o, s:O, s:O, s:O}", "arena", arena_value(report),
        "totals", totals_value(report), "memory", memory_value(report), "counters",
        counters_value(report), "processes", report->processes, "slots", report->slots, "rings",
        report->rings);
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!text)
        return -ENOMEM;
    buffer_append_string(out, text);
    buffer_append_char(out, '\n');
    free(text);
    return 0;
}

int rings_report(struct buffer *out, const struct inspect *view, const struct rings_wish *wish)
{
    int rc;
    struct report report = {
        .view = view,
        .wish = wish,
        .rings = json_array(),
        .processes = json_array(),
        .slots = json_array(),
    };
    inspect_arena(&report.arena, view);
    collect_processes(&report);
    collect_slots(&report);
    collect_rings(&report);
    if (wish->user && json_array_size(report.rings) == 0)
        rc = -ENOENT;
    else
        rc = wish->json ? append_json(out, &report) : append_tables(out, &report);
    json_decref(report.rings);
    json_decref(report.processes);
    json_decref(report.slots);
    return rc < 0 ? rc : buffer_error(out);
}
