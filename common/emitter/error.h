/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/grammar.h"

#include <ringside-error.h>

/* The RS_E_* for a negative errno of the ring layer; RS_OK for 0. */
int error_from_errno(int rc);
/* The same for what the grammar says. */
int error_from_verdict(enum grammar_verdict verdict);
