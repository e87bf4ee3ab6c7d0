/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ringside-agent.h>

/* The agent in a shared object; NULL, with why on stdout, when there is none that can be used. It
 * stays loaded to the process's end. */
const struct ra_agent *native_library_load(const char *path);
