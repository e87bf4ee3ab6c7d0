/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

/* The rows of options.def as a table: what flags, environment, file, help and reference share. */
enum option_kind {
    OPTION_TEXT,
    OPTION_NAME,
    OPTION_PATH,
    OPTION_CHOICE,
    OPTION_NUMBER,
    OPTION_BYTES,
    OPTION_POWER,
    OPTION_DURATION,
    OPTION_FLAG,
};

struct option {
    enum option_kind kind;
    const char *section;
    const char *key;
    const char *help;
    const char *text;    /* default of texts */
    const char *choices; /* "one|two" */
    uint64_t number;     /* default of numbers and flags */
    uint64_t min;
    uint64_t max;
    size_t offset; /* of its field in struct config */
};

enum option_index {
#define ROW(section, key) OPTION_AT_##section##_##key,
#define TEXT(section, key, fallback, help) ROW(section, key)
#define NAME(section, key, fallback, help) ROW(section, key)
#define PATH(section, key, fallback, help) ROW(section, key)
#define CHOICE(section, key, fallback, choices, help) ROW(section, key)
#define NUMBER(section, key, fallback, min, max, help) ROW(section, key)
#define BYTES(section, key, fallback, min, max, help) ROW(section, key)
#define POWER(section, key, fallback, min, max, help) ROW(section, key)
#define DURATION(section, key, fallback, min, max, help) ROW(section, key)
#define FLAG(section, key, fallback, help) ROW(section, key)
#include "config/options.def"
#undef ROW
#undef TEXT
#undef NAME
#undef PATH
#undef CHOICE
#undef NUMBER
#undef BYTES
#undef POWER
#undef DURATION
#undef FLAG
    OPTION_COUNT,
};

#define OPTION_NAME_MAX 96

extern const struct option option_table[OPTION_COUNT];

/* By "section" and "key", or NULL. */
const struct option *option_find(struct span section, struct span key);
bool option_section_known(struct span section);
/* "section-key", as after the dashes of its flag. */
void option_flag_name(const struct option *option, char ret_name[OPTION_NAME_MAX]);
/* RINGSIDE_SECTION_KEY */
void option_variable_name(const struct option *option, char ret_name[OPTION_NAME_MAX]);
/* The word for its value in --help: NUMBER, BYTES, …; choices stand as they are. */
const char *option_value_name(const struct option *option);
/* Its default as it would be written; nothing for an empty text. */
void option_append_default(const struct option *option, struct buffer *out);
/* What values it takes, for people: "a whole number from 1 to 4096". */
void option_append_wanted(const struct option *option, struct buffer *out);

/* Sets every field to its default. -ENOMEM. */
int option_set_defaults(struct config *config);
/* -EINVAL when `text` is not a value this option takes (see option_append_wanted); -ENOMEM. */
int option_set(struct config *config, const struct option *option, const char *text);
/* The field of an option that holds text. */
char **option_text_field(struct config *config, const struct option *option);
bool option_holds_text(const struct option *option);
