/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct fairness {
    double alone_p99_us; /* from the emit to the routing, of quiet users among themselves */
    double quiet_p99_us; /* the same beside one who floods */
    double ratio;
    double flood_per_s; /* what was taken of the flood */
};

void fairness_measure(struct fairness *ret_fairness);
