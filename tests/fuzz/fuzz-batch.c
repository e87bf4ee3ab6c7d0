/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of requests, and as a file of results: both are judged without harm, what is
 * taken as a request can be read again, and a file that was opened once opens again.
 */
#include "fuzz.h"

#include "batch/input.h"
#include "batch/output.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static struct registry_agent agent = {.name = "a"};
static const struct registry registry = {.agents = &agent, .count = 1};

static void on_malformed(void *context, uint64_t line, const char *reason)
{
    (void)context;
    FUZZ_CHECK(line > 0 && reason[0]);
}

static int open_bytes(char ret_path[64], const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_input(struct batch_input *input)
{
    struct batch_content content = {0};
    for (size_t i = 0; i < input->count; i++) {
        const struct batch_request *request = &input->requests[i];
        FUZZ_CHECK(batch_input_find(input, span_of_string(request->id)) == request);
        FUZZ_CHECK(batch_input_read(input, request, &content) == 0);
    }
    buffer_deinit(&content.line);
}

static int open_output(const char *path, struct batch_input *input)
{
    struct batch_output output;
    struct batch_output_problem problem;
    int rc = batch_output_init(&output, path, false, input, &problem);
    FUZZ_CHECK(rc == 0 || problem.text[0]);
    batch_output_deinit(&output);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = open_bytes(path, data, size);
    struct batch_input input;
    const struct batch_input_options options = {
        .path = path, .default_agent = "a", .registry = &registry, .malformed = on_malformed};
    FUZZ_CHECK(batch_input_init(&input, &options) == 0);
    check_input(&input);
    if (open_output(path, &input) == 0)
        FUZZ_CHECK(open_output(path, &input) == 0);
    batch_input_deinit(&input);
    close(fd);
    return 0;
}
