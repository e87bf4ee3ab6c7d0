/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/grammar.h"

/* What is wrong with a record of a stream: each kind counted, the first ones kept to be shown. */
enum record_rule {
#define RULE(symbol, name, meaning) RECORD_##symbol,
#include "record_rules.def"
#undef RULE
    RECORD_RUN, /* and from here on a verdict each, in the order of enum grammar_verdict */
#define VERDICT(symbol, name) RECORD_RUN_##symbol,
#include "event/verdicts.def"
#undef VERDICT
    RECORD_RUN_LEFT_OPEN,
    RECORD_RULES,
};

struct record_finding {
    uint64_t line;
    enum record_rule rule;
    char *text; /* what, in this case */
};

struct record_report {
    size_t limit;  /* findings kept; those beyond are only counted */
    uint64_t line; /* the one that is looked at */
    uint64_t found;
    uint64_t by_rule[RECORD_RULES];
    struct record_finding *findings;
    size_t count;
    bool broken; /* out of memory: the report is not whole */
};

void record_report_deinit(struct record_report *report);
void record_found(struct record_report *report, enum record_rule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The rule that an event breaks which the grammar refuses so. */
enum record_rule record_rule_of(enum grammar_verdict verdict);
/* "gap", and what that means. Static. */
const char *record_rule_name(enum record_rule rule);
const char *record_rule_meaning(enum record_rule rule);
