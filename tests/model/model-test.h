/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the models share. */
#pragma once

#include "checker.h"

/* More than any check here has; a model that grew by mistake ends early. */
#define MODEL_STATES_MAX ((size_t)12000000)

/* Fails with the run that leads to the fault; else prints the figures. */
void model_assert_sound(const struct model *model, const char *name);
/* Fails if the broken model is not caught, or for another fault than one that begins so. */
void model_assert_caught(const struct model *model, const char *name, const char *fault);
