/* SPDX-License-Identifier: Apache-2.0 */
#include "links/versions.h"

#include "event/record.h"
#include "history/format.h"
#include "ring/layout.h"
#include "wire/message.h"

#include <stdlib.h>

struct versions versions_own(void)
{
    struct versions versions = {
#define VERSION(name, number, of, todo) .name = number,
#include "links/versions.def"
#undef VERSION
    };
#ifdef VERSIONS_OTHER /* a test's broker, that differs in this one */
    versions.VERSIONS_OTHER = 99;
#endif
    return versions;
}

void versions_append(struct buffer *out, const struct versions *versions)
{
#define VERSION(name, number, of, todo) buffer_printf(out, #name "=%u ", versions->name);
#include "links/versions.def"
#undef VERSION
}

/* The number behind "name=", or 0, which is no version. */
static uint32_t said(struct span text, const char *name)
{
    size_t len = strlen(name);
    for (size_t at = 0; at + len < text.len; at++) {
        bool begins = at == 0 || text.data[at - 1] == ' ';
        if (!begins || memcmp(text.data + at, name, len) != 0 || text.data[at + len] != '=')
            continue;
        char digits[16] = "";
        size_t left = text.len - at - len - 1;
        memcpy(digits, text.data + at + len + 1, left < 15 ? left : 15);
        return (uint32_t)strtoul(digits, NULL, 10);
    }
    return 0;
}

struct pair {
    const char *of;
    const char *todo;
    uint32_t own;
    uint32_t theirs;
};

static bool same(const struct pair *pair, struct buffer *why)
{
    if (pair->own == pair->theirs)
        return true;
    buffer_printf(why, "%s: the running broker has version %u, the new one %u; %s", pair->of,
        pair->own, pair->theirs, pair->todo);
    return false;
}

bool versions_agree(const struct versions *own, struct span theirs, struct buffer *why)
{
    const struct pair pairs[] = {
#define VERSION(name, number, of, todo) {of, todo, own->name, said(theirs, #name)},
#include "links/versions.def"
#undef VERSION
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        if (!same(&pairs[i], why))
            return false;
    }
    return true;
}
