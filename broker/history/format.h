/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Of the store's files. Another one is refused, by history_open and before a broker takes over. */
#define HISTORY_FORMAT 2
