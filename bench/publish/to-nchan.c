/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP POST an event, on one connection that is kept, pipelined: so many may be unanswered. */
#include "sink.h"

#include <errno.h>
#include <sys/socket.h>

#define FLUSH_BYTES (16u << 10)
#define UNANSWERED_MAX 256

static int server;
static struct buffer waiting;
static unsigned unanswered;
static struct buffer answers; /* what was read of them and is not yet counted */

/* Counts the status lines; their last bytes may come with the next read. */
static void count_answers(void)
{
    static const char mark[] = "HTTP/1.1 20";
    size_t at = 0;
    for (;;) {
        const char *found = memmem(answers.data + at, answers.len - at, mark, sizeof(mark) - 1);
        if (!found)
            break;
        unanswered--;
        at = (size_t)(found - answers.data) + sizeof(mark) - 1;
    }
    if (memmem(answers.data, answers.len, "HTTP/1.1 4", 10) ||
        memmem(answers.data, answers.len, "HTTP/1.1 5", 10))
        sink_fail("nchan", "it refuses an event");
    buffer_consume(&answers, answers.len - at < sizeof(mark) ? at : answers.len - sizeof(mark) + 1);
}

static void read_answers(int flags)
{
    char *room = buffer_reserve(&answers, FLUSH_BYTES);
    ssize_t got = room ? recv(server, room, FLUSH_BYTES, flags) : -1;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        sink_fail("nchan", "it hung up");
    answers.len += (size_t)got;
    count_answers();
}

static void flush_nchan(void)
{
    sink_write(server, &waiting);
    read_answers(MSG_DONTWAIT);
    while (unanswered >= UNANSWERED_MAX)
        read_answers(0);
}

static void open_nchan(uint16_t port, uint32_t users)
{
    (void)users;
    server = sink_connect(port);
}

static void put_nchan(uint32_t user, struct span event)
{
    buffer_append_string(&waiting, "POST /pub/u");
    buffer_append_uint(&waiting, user);
    buffer_append_string(&waiting, " HTTP/1.1\r\nHost: b\r\nContent-Length: ");
    buffer_append_uint(&waiting, event.len);
    buffer_append_string(&waiting, "\r\n\r\n");
    buffer_append_span(&waiting, event);
    unanswered++;
    if (waiting.len >= FLUSH_BYTES || unanswered >= UNANSWERED_MAX)
        flush_nchan();
}

const struct sink sink_nchan = {
    .name = "nchan", .open = open_nchan, .put = put_nchan, .flush = flush_nchan};
