/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/steps.h"

void (*ring_step_hook)(const char *name);
