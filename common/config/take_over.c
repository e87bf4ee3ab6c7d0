/* SPDX-License-Identifier: Apache-2.0 */
#include "config/take_over.h"

static size_t field_size(const struct option *option)
{
    if (option_holds_text(option))
        return sizeof(char *);
    return option->kind == OPTION_FLAG ? sizeof(bool) : sizeof(uint64_t);
}

static bool differs(struct config *config, struct config *next, const struct option *option)
{
    if (option_holds_text(option))
        return strcmp(*option_text_field(config, option), *option_text_field(next, option)) != 0;
    return memcmp((char *)config + option->offset, (char *)next + option->offset,
               field_size(option)) != 0;
}

static void swap(struct config *config, struct config *next, const struct option *option)
{
    char kept[sizeof(uint64_t)];
    char *a = (char *)config + option->offset;
    char *b = (char *)next + option->offset;
    size_t size = field_size(option);
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

void config_take_over(
    struct config *config, struct config *next, const struct take_over_rules *rules)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &option_table[i];
        if (!differs(config, next, option))
            continue;
        bool may = rules->may_change(option);
        if (may)
            swap(config, next, option);
        rules->tell(rules->context, option, may ? TAKE_OVER_DONE : TAKE_OVER_LATER);
    }
}
