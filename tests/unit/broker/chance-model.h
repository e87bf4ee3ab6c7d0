/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runs/lifecycle.h"

/*
 * A run as its page in the docs describes it, for test-chance.c; shares no code with the broker.
 * `told` is what its part of the stream must be: the types, an identifier behind a colon, '!' for a
 * final text, '*' for what the broker wrote, and behind '=' a code or a status.
 */
#define IDS 5
#define NOBODY (-1)

enum kind { TEXT, TOOL, QUESTION, KINDS };
enum lot { UNHEARD, OPEN, CLOSED };

struct thing {
    enum lot lot;
    unsigned opened; /* the when-th of all */
};

struct model_run {
    char id[IDENTIFIER_SIZE];
    unsigned user;
    int worker;
    bool exists;
    bool asked; /* by a request, not begun by a program */
    bool begun;
    bool cancelled;
    bool over;
    unsigned given; /* how often to a worker */
    struct thing things[KINDS][IDS];
    struct buffer told; /* its events so far */
};

/* An event that a worker writes into a user's ring. */
struct attempt {
    struct event event;
    int worker;
    unsigned user;
    struct model_run *run;
    size_t ids[KINDS]; /* IDS: none named */
    char text[KINDS][8];
    char data[64];
};

extern const char model_letters[KINDS];

void model_tell(struct model_run *run, const char *type, const char *rest);
/* What the attempt is worth, and what it does when that is VERDICT_LEGAL; true: it was the end. */
enum verdict model_judge(const struct attempt *a);
bool model_take(struct attempt *a);
/* The broker ends it: with an error of this code, or NULL for a cancel. */
void model_end(struct model_run *run, const char *tool_status, const char *code);
/* Its worker is gone: dead, or given up. True: that was its end. */
bool model_lose(struct model_run *run, const char *code);
