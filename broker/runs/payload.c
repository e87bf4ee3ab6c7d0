/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/payload.h"

#include "base/json_scan.h"

#include <jansson.h>

struct span payload_cut(struct span text, size_t max)
{
    size_t len = text.len < max ? text.len : max;
    while (len > 0 && !utf8_valid(span_of(text.data, len)))
        len--;
    return span_of(text.data, len);
}

void payload_string(char ret_text[IDENTIFIER_SIZE], struct span data, const char *name)
{
    json_t *root = json_loadb(data.data, data.len, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(root, name));
    size_t len = text ? strlen(text) : 0;
    if (len > IDENTIFIER_MAX)
        len = 0;
    if (len)
        memcpy(ret_text, text, len);
    ret_text[len] = '\0';
    json_decref(root);
}
