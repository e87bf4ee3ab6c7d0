/* SPDX-License-Identifier: Apache-2.0 */
#include "config/problems.h"

#include <stdio.h>

void problems_add(struct problems *problems, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?'; /* a problem stays one line, whatever was typed */
    }
    buffer_append_string(&problems->lines, line);
    buffer_append_char(&problems->lines, '\n');
    problems->count++;
}

void problems_deinit(struct problems *problems)
{
    buffer_deinit(&problems->lines);
    problems->count = 0;
}
