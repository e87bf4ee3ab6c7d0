/* SPDX-License-Identifier: Apache-2.0 */
#include "native/library.h"

#include <dlfcn.h>
#include <stdio.h>

#define SYMBOL "ra_agent_v1"

const struct ra_agent *native_library_load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct ra_agent *agent = library ? dlsym(library, SYMBOL) : NULL;
    if (!agent) {
        printf("its library %s\n", dlerror());
        return NULL;
    }
    if (agent->version != RA_VERSION || !agent->name || !agent->run) {
        printf("its library %s is for version %u of ringside-agent.h, this is %u, or it has no "
               "name or run\n",
            path, agent->version, RA_VERSION);
        return NULL;
    }
    return agent;
}
