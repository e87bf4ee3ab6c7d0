/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ringside-error.h>

/* The RS_E_* for a negative errno of the ring layer; RS_OK for 0. */
int error_from_errno(int rc);
