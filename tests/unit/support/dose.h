/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How often a test repeats itself: whole in builds that run at full speed, and under sanitizers,
 * which are many times slower, so often that each kind of round still comes several times.
 */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define DOSE(rounds) ((rounds) / 4)
#else
#define DOSE(rounds) (rounds)
#endif
