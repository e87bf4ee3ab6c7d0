/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/spin.h"

#include "ring/doorbell.h"

/* Looks before the processor is offered to others. */
#define LOOKS 32

static inline void spin_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool ring_spin_wait(struct spin *spin, struct arena *arena)
{
    while (spin_again(spin)) {
        for (int i = 0; i < LOOKS; i++) {
            if (doorbell_has_news(arena)) {
                spin_news(spin);
                return true;
            }
            spin_relax();
        }
    }
    return false;
}
