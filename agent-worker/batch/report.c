/* SPDX-License-Identifier: Apache-2.0 */
#include "batch/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_EVERY_MS 10000
#define BAR_WIDTH 30

void batch_report_init(struct batch_report *report, bool quiet, uint64_t now_ms)
{
    *report = (struct batch_report){.quiet = quiet,
        .terminal = isatty(STDERR_FILENO) == 1,
        .begun_ms = now_ms,
        .told_ms = now_ms};
}

void batch_report_deinit(struct batch_report *report)
{
    free(report->durations);
}

/* ---- what happened */

static void wipe(struct batch_report *report)
{
    if (report->drawn)
        fputs("\r\033[K", stderr);
    report->drawn = false;
}

void batch_report_malformed(struct batch_report *report, uint64_t line, const char *reason)
{
    report->malformed++;
    wipe(report);
    fprintf(stderr, "ringside batch: line %" PRIu64 ": %s; it is left out\n", line, reason);
}

static void note_code(struct batch_report *report, const char *code)
{
    size_t i = 0;
    while (i < report->code_count && strcmp(report->codes[i].code, code) != 0)
        i++;
    if (i == BATCH_CODES_MAX) {
        report->other_codes++;
        return;
    }
    if (i == report->code_count) {
        report->code_count++;
        snprintf(report->codes[i].code, sizeof(report->codes[i].code), "%s", code);
    }
    report->codes[i].count++;
}

/* Without memory the percentiles are of fewer runs. */
static void note_duration(struct batch_report *report, uint64_t ms)
{
    if (report->duration_count == report->duration_cap) {
        size_t cap = report->duration_cap ? report->duration_cap * 2 : 1024;
        uint32_t *durations = realloc(report->durations, cap * sizeof(*durations));
        if (!durations)
            return;
        report->durations = durations;
        report->duration_cap = cap;
    }
    report->durations[report->duration_count++] = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void batch_report_ended(struct batch_report *report, const struct batch_run *run)
{
    report->ended[run->status]++;
    if (run->status == BATCH_FAILED)
        note_code(report, run->code);
    note_duration(report, run->ended_ms - run->started_ms);
}

/* ---- progress */

static uint64_t ended_now(const struct batch_report *report)
{
    return report->ended[BATCH_COMPLETED] + report->ended[BATCH_FAILED] +
           report->ended[BATCH_CANCELLED];
}

static double rate(const struct batch_report *report, uint64_t now_ms)
{
    uint64_t ms = now_ms - report->begun_ms;
    return ms ? (double)ended_now(report) * 1000. / (double)ms : 0.;
}

/* "1h02m", "3m07s", "12s". */
static void format_seconds(char *ret_text, size_t size, double seconds)
{
    unsigned long whole = (unsigned long)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(ret_text, size, "%luh%02lum", whole / 3600, whole % 3600 / 60);
    else if (whole >= 60)
        snprintf(ret_text, size, "%lum%02lus", whole / 60, whole % 60);
    else
        snprintf(ret_text, size, "%lus", whole);
}

static void print_bar(double share)
{
    int full = (int)(share * BAR_WIDTH);
    fputs("\r[", stderr);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3.0f%%  ", share * 100.);
}

static void print_standing(const struct batch_report *report, size_t running, uint64_t now_ms)
{
    uint64_t done = report->done_before + ended_now(report);
    double per_second = rate(report, now_ms);
    char left[32] = "?";
    if (per_second > 0.)
        format_seconds(left, sizeof(left), (double)(report->total - done) / per_second);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 "  %.1f/s  %s left  %zu running", done, report->total,
        per_second, left, running);
    if (report->ended[BATCH_FAILED])
        fprintf(stderr, "  %" PRIu64 " failed", report->ended[BATCH_FAILED]);
}

void batch_report_progress(struct batch_report *report, size_t running, uint64_t now_ms)
{
    uint64_t done = report->done_before + ended_now(report);
    if (report->quiet || (!report->terminal && now_ms - report->told_ms < LINE_EVERY_MS))
        return;
    report->told_ms = now_ms;
    if (report->terminal)
        print_bar(report->total ? (double)done / (double)report->total : 1.);
    print_standing(report, running, now_ms);
    fputs(report->terminal ? "\033[K" : "\n", stderr);
    report->drawn = report->terminal;
}

/* ---- summary */

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static uint32_t percentile(const struct batch_report *report, unsigned percent)
{
    return report->durations[(report->duration_count - 1) * percent / 100];
}

static void print_codes(const struct batch_report *report)
{
    for (size_t i = 0; i < report->code_count; i++)
        fprintf(stderr, "  %" PRIu64 " × %s\n", report->codes[i].count, report->codes[i].code);
    if (report->other_codes)
        fprintf(stderr, "  %" PRIu64 " with other codes\n", report->other_codes);
}

static void print_counts(const struct batch_report *report)
{
    fprintf(stderr,
        "%" PRIu64 " requests: %" PRIu64 " completed, %" PRIu64 " failed, %" PRIu64 " cancelled",
        report->total, report->ended[BATCH_COMPLETED], report->ended[BATCH_FAILED],
        report->ended[BATCH_CANCELLED]);
    if (report->done_before)
        fprintf(stderr, ", %" PRIu64 " were done before", report->done_before);
    if (report->retried)
        fprintf(stderr, "; %" PRIu64 " attempts were tried again", report->retried);
    if (report->malformed)
        fprintf(stderr, "; %" PRIu64 " %s", report->malformed,
            report->malformed == 1 ? "line is no request" : "lines are no requests");
    fputc('\n', stderr);
}

static void print_times(struct batch_report *report, uint64_t now_ms)
{
    char took[32];
    format_seconds(took, sizeof(took), (double)(now_ms - report->begun_ms) / 1000.);
    fprintf(stderr, "%s, %.1f a second", took, rate(report, now_ms));
    if (report->duration_count) {
        qsort(report->durations, report->duration_count, sizeof(uint32_t), compare);
        fprintf(stderr, "; a run took %u ms (median), %u ms (p90), %u ms (p99)",
            percentile(report, 50), percentile(report, 90), percentile(report, 99));
    }
    fputc('\n', stderr);
}

void batch_report_summary(struct batch_report *report, bool interrupted, uint64_t now_ms)
{
    if (report->quiet)
        return;
    wipe(report);
    print_counts(report);
    print_codes(report);
    if (ended_now(report))
        print_times(report, now_ms);
    uint64_t left = report->total - report->done_before - ended_now(report);
    if (interrupted && left)
        fprintf(stderr,
            "interrupted: %" PRIu64 " requests are left; with --out, the same command "
            "goes on with them\n",
            left);
}
