/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema, a newline, and a value: whatever the two are, a check ends and stays within them, a
 * value fits itself as `const` unless it is too large, and a schema and its negation do not agree.
 */
#include "fuzz.h"

#include "json/schema.h"
#include "json/view.h"

#include "base/json_scan.h"

static int check(const char *before, struct span inside, const char *after, struct span value)
{
    struct buffer schema = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    buffer_printf(&schema, "%s%.*s%s", before, SPAN_ARG(inside), after);
    int rc = schema_check(buffer_span(&schema), value, &problem);
    FUZZ_CHECK((rc == 0) == (problem.len == 0));
    buffer_deinit(&schema);
    buffer_deinit(&problem);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span value = span_of(data, size);
    struct span schema = json_trim(span_take_until(&value, '\n'));
    value = json_trim(value);
    if (!json_scan_valid(schema) || !json_scan_valid(value))
        return 0;
    struct buffer unchecked = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    bool well_formed = schema_inspect(schema, &unchecked, &problem) == 0;
    FUZZ_CHECK(well_formed == (problem.len == 0));
    int rc = check("", schema, "", value);
    if (well_formed && rc == 0)
        FUZZ_CHECK(
            check("{\"not\":", schema, "}", value) < 0 || memchr(schema.data, '$', schema.len));
    if (value.len < 10000)
        FUZZ_CHECK(check("{\"const\":", value, "}", value) == 0);
    buffer_deinit(&unchecked);
    buffer_deinit(&problem);
    return 0;
}
