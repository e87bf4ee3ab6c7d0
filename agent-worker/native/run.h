/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "native/link.h"

#include <ringside-agent.h>

/* A run in the process that hosts its agent: what `ra_run` is behind ringside-agent.h. */

/* Serves the runs of this process, one after the other, until the worker wants no more. */
void native_serve(struct native_link *link, const struct ra_agent *agent);
