/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * Whether a node keeps a control socket there. A dead broker's counts too: it may be about to be
 * started again, so whoever finds one waits.
 */
bool control_present(const char *run_dir);
/*
 * Asks the broker of the node in `run_dir` over its control socket and waits, at most
 * CLI_REACH_SECONDS, for the answer, JSON, appended to `out`. 0, or
 *   -EHOSTUNREACH  no broker, or no answer in time
 *   -EPROTO        it answered something else
 *   -EINVAL        the argument makes no sense to it; `out` has why
 *   -EOPNOTSUPP    it refused otherwise; `out` has why
 *   -ENAMETOOLONG, -ENOMEM
 */
int control_query(struct buffer *out, const char *run_dir, const char *what, const char *argument);
/* "ipc://RUN_DIR/broker.ipc". -ENAMETOOLONG. */
#define CONTROL_URL_SIZE 600
int control_url(char ret_url[CONTROL_URL_SIZE], const char *run_dir);
