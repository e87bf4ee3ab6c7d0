/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/account.h"

#define SECOND_NS UINT64_C(1000000000)

static void count(struct account *account, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;
    if (second != account->second) {
        account->before = second == account->second + 1 ? account->recent : 0;
        account->recent = 0;
        account->second = second;
    }
    account->recent++;
}

void account_take(struct account *account, uint64_t now_ns, uint64_t rate, uint64_t bytes)
{
    account->events++;
    account->bytes += bytes;
    count(account, now_ns);
    if (rate == 0)
        return;
    if (account->paid_ns < now_ns)
        account->paid_ns = now_ns;
    account->paid_ns += SECOND_NS / rate;
}

uint64_t account_room_at(const struct account *account, uint64_t now_ns, uint64_t rate)
{
    if (rate == 0)
        return now_ns;
    uint64_t after = account->paid_ns + SECOND_NS / rate;
    return after > now_ns + SECOND_NS ? after - SECOND_NS : now_ns;
}

bool account_has_room(const struct account *account, uint64_t now_ns, uint64_t rate)
{
    return account_room_at(account, now_ns, rate) == now_ns;
}

uint64_t account_rate(const struct account *account, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;
    uint64_t left = SECOND_NS - now_ns % SECOND_NS;
    if (second == account->second)
        return account->recent + account->before * left / SECOND_NS;
    return second == account->second + 1 ? account->recent * left / SECOND_NS : 0;
}
