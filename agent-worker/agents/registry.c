/* SPDX-License-Identifier: Apache-2.0 */
#include "agents/registry.h"

#include "agents/host.h"
#include "json/schema.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_FALLBACK "/usr/local/bin:/usr/bin:/bin"

extern char **environ;

/* ---- the children's environment */

/*
 * What is the worker's own: its configuration and secrets, and the service manager's channels to
 * it, which a child must not speak on.
 */
static bool is_ours(const char *variable)
{
    static const char *const ours[] = {
        "RINGSIDE_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY="};
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
            return true;
    }
    return false;
}

static int copy_environment(char ***ret_environment)
{
    size_t count = 0;
    size_t kept = 0;
    while (environ[count])
        count++;
    char **environment = calloc(count + 1, sizeof(*environment));
    if (!environment)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!is_ours(environ[i]))
            environment[kept++] = environ[i];
    }
    *ret_environment = environment;
    return 0;
}

/* ---- finding programs */

static int check_executable(const char *path)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return -errno;
    if (!S_ISREG(info.st_mode))
        return -EISDIR;
    return access(path, X_OK) < 0 ? -errno : 0;
}

/* Looks `name` up along PATH. The first that can be executed counts, as for execvp. */
static int search_path(char **ret_path, const char *name)
{
    const char *folders = getenv("PATH");
    int rc = -ENOENT;
    if (!folders || !folders[0])
        folders = PATH_FALLBACK;
    while (*folders) {
        size_t len = strcspn(folders, ":");
        _cleanup_free_ char *path = NULL;
        if (len > 0 && asprintf(&path, "%.*s/%s", (int)len, folders, name) < 0)
            return -ENOMEM;
        int found = len > 0 ? check_executable(path) : -ENOENT;
        if (found == 0) {
            *ret_path = STEAL_POINTER(path);
            return 0;
        }
        if (found == -EACCES)
            rc = -EACCES;
        folders += len + (folders[len] == ':');
    }
    return rc;
}

static int find_program(char **ret_path, const char *word)
{
    if (!strchr(word, '/'))
        return search_path(ret_path, word);
    int rc = check_executable(word);
    if (rc < 0)
        return rc;
    *ret_path = strdup(word);
    return *ret_path ? 0 : -ENOMEM;
}

static const char *reason_of(int rc)
{
    switch (rc) {
    case -ENOENT: return "is not there";
    case -EACCES: return "may not be executed";
    case -EISDIR: return "is not a file";
    default: return strerror(-rc);
    }
}

/* What of an agent a program belongs to; NULL: it is the agent's own. */
struct part {
    const char *kind;
    const char *name;
    const struct config_command *command;
};

/* Fills `program`, or adds a line to `problems`. -ENOMEM only. */
static int resolve(struct program *program, const struct registry *registry,
    const struct config_agent *agent, const struct part *part, struct buffer *problems)
{
    const struct config_command *command = part ? part->command : &agent->command;
    char *path = NULL;
    int rc = find_program(&path, command->argv[0]);
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0)
        buffer_printf(problems, "agent %s%s%s%s%s: its program %s %s\n", agent->name,
            part ? ", " : "", part ? part->kind : "", part ? " " : "", part ? part->name : "",
            command->argv[0], reason_of(rc));
    *program = (struct program){.path = path,
        .argv = command->argv,
        .environment = registry->environment,
        .directory = agent->directory};
    return 0;
}

/* ---- agents in programs of ours */

/* The program that is the agent's process; NULL when the agent is a program itself. */
static char *host_of(enum config_agent_kind kind)
{
    static char native[] = "ringside-agent-native";
    static char llm[] = "ringside-agent-llm";
    switch (kind) {
    case CONFIG_AGENT_NATIVE: return native;
    case CONFIG_AGENT_LLM: return llm;
    case CONFIG_AGENT_EXEC: break;
    }
    return NULL;
}

static void complain_lines(struct buffer *problems, const char *agent, const struct buffer *said)
{
    for (struct span rest = buffer_span(said); rest.len;) {
        struct span line = span_take_until(&rest, '\n');
        buffer_printf(problems, "agent %s: %.*s\n", agent, SPAN_ARG(line));
    }
}

static void check_hosted(
    const struct registry_agent *agent, const struct config_agent *from, struct buffer *problems)
{
    struct buffer said = BUFFER_INIT;
    char *argv[] = {agent->host_argv[0], (char[]){"--check"}, agent->host_argv[1], NULL};
    struct program program = agent->program;
    program.argv = argv;
    int rc = host_check(&program, span_of_string(from->settings), &said);
    if (rc == -ENOEXEC && said.len)
        complain_lines(problems, from->name, &said);
    else if (rc == -ENOEXEC)
        buffer_printf(problems, "agent %s: it broke while it was checked\n", from->name);
    else if (rc)
        buffer_printf(problems, "agent %s: it cannot be checked: %s\n", from->name, strerror(-rc));
    buffer_deinit(&said);
}

/* Its one argument is the library, where there is one. */
static int resolve_hosted(struct registry_agent *agent, const struct registry *registry,
    const struct config_agent *from, struct buffer *problems)
{
    char *name = host_of(from->kind);
    char *path = NULL;
    int rc = host_find(&path, name);
    if (rc == -ENOMEM)
        return rc;
    agent->host_argv[0] = name;
    agent->host_argv[1] = from->library;
    agent->program = (struct program){.path = path,
        .argv = agent->host_argv,
        .environment = registry->environment,
        .directory = from->directory};
    if (rc < 0)
        buffer_printf(
            problems, "agent %s: the program %s is not beside this one\n", from->name, name);
    else
        check_hosted(agent, from, problems);
    return 0;
}

/* ---- building */

/* {"name", "description"?, "input_schema"?} */
static void offer_tool(struct buffer *offer, const struct config_tool *tool)
{
    buffer_append_string(offer, offer->len > 1 ? ",{" : "{");
    json_append_member(offer, "name", span_of_string(tool->name));
    if (tool->description)
        json_append_member(offer, "description", span_of_string(tool->description));
    if (tool->input_schema)
        json_append_member_raw(offer, "input_schema", span_of_string(tool->input_schema));
    buffer_append_char(offer, '}');
}

/* What a schema says and nobody checks is no mistake, but no secret either. */
static void check_schema(const char *agent, const struct config_tool *tool, struct buffer *problems)
{
    struct buffer unchecked = BUFFER_INIT;
    struct buffer problem = BUFFER_INIT;
    struct span schema = span_of_string(tool->input_schema);
    if (schema.len && schema_inspect(schema, &unchecked, &problem) < 0)
        buffer_printf(problems, "agent %s, tool %s: its input_schema: %.*s\n", agent, tool->name,
            SPAN_ARG(buffer_span(&problem)));
    else if (unchecked.len)
        log_info("registry", "agent %s, tool %s: of its input_schema are not checked: %.*s", agent,
            tool->name, SPAN_ARG(buffer_span(&unchecked)));
    buffer_deinit(&unchecked);
    buffer_deinit(&problem);
}

static int add_tools(struct registry *registry, struct registry_agent *agent,
    const struct config_agent *from, struct buffer *problems)
{
    agent->tools = calloc(from->tool_count + 1, sizeof(*agent->tools));
    if (!agent->tools)
        return -ENOMEM;
    buffer_append_char(&agent->offer, '[');
    for (size_t i = 0; i < from->tool_count; i++) {
        struct registry_tool *tool = &agent->tools[agent->tool_count++];
        tool->name = from->tools[i].name;
        tool->kind = from->tools[i].kind;
        tool->input_schema = span_of_string(from->tools[i].input_schema);
        check_schema(from->name, &from->tools[i], problems);
        tool->timeout_ms = from->tools[i].timeout_ms;
        tool->approval = from->tools[i].approval;
        tool->approval_timeout_ms = from->tools[i].approval_timeout_ms;
        offer_tool(&agent->offer, &from->tools[i]);
        const struct part part = {"tool", tool->name, &from->tools[i].command};
        int rc = tool->kind == CONFIG_TOOL_COMMAND
                     ? resolve(&tool->program, registry, from, &part, problems)
                     : 0;
        if (rc < 0)
            return rc;
    }
    buffer_append_char(&agent->offer, ']');
    return buffer_error(&agent->offer);
}

static int add_servers(struct registry *registry, struct registry_agent *agent,
    const struct config_agent *from, struct buffer *problems)
{
    agent->mcp = calloc(from->mcp_count + 1, sizeof(*agent->mcp));
    if (!agent->mcp)
        return -ENOMEM;
    for (size_t i = 0; i < from->mcp_count; i++) {
        const struct config_mcp *declared = &from->mcp[i];
        struct registry_mcp *server = &agent->mcp[agent->mcp_count++];
        *server = (struct registry_mcp){.name = declared->name,
            .timeout_ms = declared->timeout_ms,
            .approval = declared->approval,
            .approval_timeout_ms = declared->approval_timeout_ms,
            .tools = declared->tools,
            .tool_count = declared->tool_count};
        const struct part part = {"server", declared->name, &declared->command};
        int rc = resolve(&server->program, registry, from, &part, problems);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int add_agent(
    struct registry *registry, const struct config_agent *from, struct buffer *problems)
{
    struct registry_agent *agent = &registry->agents[registry->count++];
    agent->name = from->name;
    buffer_printf(&registry->names, "%s%s", registry->names.len ? "\n" : "", from->name);
    agent->settings = from->settings;
    agent->limits = from->limits;
    agent->pool = from->pool;
    int rc = host_of(from->kind) ? resolve_hosted(agent, registry, from, problems)
                                 : resolve(&agent->program, registry, from, NULL, problems);
    /* The kernel's limit is the second line: what the agent takes altogether is looked at. */
    agent->program.memory_max = 2 * from->limits.memory;
    agent->program.cpu_max_ms = from->limits.cpu_time_ms;
    if (!rc)
        rc = add_tools(registry, agent, from, problems);
    return rc < 0 ? rc : add_servers(registry, agent, from, problems);
}

static int build(struct registry *registry, const struct config *config, struct buffer *problems)
{
    registry->agents = calloc(config->agent_count + 1, sizeof(*registry->agents));
    if (!registry->agents)
        return -ENOMEM;
    int rc = copy_environment(&registry->environment);
    for (size_t i = 0; !rc && i < config->agent_count; i++)
        rc = add_agent(registry, &config->agents[i], problems);
    buffer_append_char(&registry->names, '\0');
    if (!rc)
        rc = buffer_error(&registry->names);
    if (!rc)
        rc = buffer_error(problems);
    return rc;
}

int registry_init(
    struct registry *ret_registry, const struct config *config, struct buffer *problems)
{
    struct registry registry = {.names = BUFFER_INIT};
    size_t said = problems->len;
    int rc = build(&registry, config, problems);
    if (!rc && problems->len > said)
        rc = -ENOEXEC;
    if (rc < 0)
        registry_deinit(&registry);
    else
        *ret_registry = registry;
    return rc;
}

static void say_problems(const struct buffer *problems)
{
    for (struct span rest = buffer_span(problems); rest.len;) {
        struct span line = span_take_until(&rest, '\n');
        log_error("registry", "%.*s", SPAN_ARG(line));
    }
}

int registry_load(struct registry *ret_registry, const struct config *config)
{
    struct buffer problems = BUFFER_INIT;
    int rc = registry_init(ret_registry, config, &problems);
    if (rc < 0 && problems.len)
        say_problems(&problems);
    buffer_deinit(&problems);
    return rc;
}

void registry_deinit(struct registry *registry)
{
    for (size_t i = 0; registry->agents && i < registry->count; i++) {
        struct registry_agent *agent = &registry->agents[i];
        free(agent->program.path);
        for (size_t k = 0; k < agent->tool_count; k++)
            free(agent->tools[k].program.path);
        free(agent->tools);
        for (size_t k = 0; k < agent->mcp_count; k++)
            free(agent->mcp[k].program.path);
        free(agent->mcp);
        buffer_deinit(&agent->offer);
    }
    free(registry->agents);
    free(registry->environment);
    buffer_deinit(&registry->names);
    *registry = (struct registry){.names = BUFFER_INIT};
}

const struct registry_agent *registry_find(const struct registry *registry, struct span name)
{
    for (size_t i = 0; i < registry->count; i++) {
        if (span_is(name, registry->agents[i].name))
            return &registry->agents[i];
    }
    return NULL;
}

const struct registry_tool *registry_find_tool(const struct registry_agent *agent, const char *name)
{
    for (size_t i = 0; i < agent->tool_count; i++) {
        if (strcmp(agent->tools[i].name, name) == 0)
            return &agent->tools[i];
    }
    return NULL;
}
