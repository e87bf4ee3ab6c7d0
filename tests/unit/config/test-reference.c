/* SPDX-License-Identifier: Apache-2.0 */
/* That docs/configuration.md, the first argument, has each section's table as the options say. */
#include "config/help.h"
#include "config/option.h"

#include "unit.h"

#include <stdio.h>

static const char *page_path;

static void read_page(struct buffer *ret_page)
{
    FILE *file = fopen(page_path, "re");
    assert_non_null(file);
    size_t got;
    do {
        char *room = buffer_reserve(ret_page, 4096);
        assert_non_null(room);
        got = fread(room, 1, 4096, file);
        ret_page->len += got;
    } while (got > 0);
    fclose(file);
    buffer_append_char(ret_page, '\0');
}

static void test_page_has_every_sections_table(void **state)
{
    (void)state;
    struct buffer page = BUFFER_INIT;
    read_page(&page);
    const char *section = "";
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(option_table[i].section, section) == 0)
            continue;
        section = option_table[i].section;
        struct buffer table = BUFFER_INIT;
        buffer_printf(&table, "## %s\n\n", section);
        config_reference_append(&table, section);
        buffer_append_char(&table, '\0');
        if (!strstr(page.data, table.data))
            fail_msg("the page should have:\n\n%s", table.data);
        buffer_deinit(&table);
    }
    buffer_deinit(&page);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page_has_every_sections_table)};
    page_path = argc > 1 ? argv[1] : "docs/configuration.md";
    return cmocka_run_group_tests_name("config-reference", tests, NULL, NULL);
}
