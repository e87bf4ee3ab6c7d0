/* SPDX-License-Identifier: Apache-2.0 */
#include "intake/exit_status.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* From linux/pidfd.h of Linux 6.15, which the distribution's headers do not have yet. */
#define PIDFS_IOCTL_MAGIC_BYTE 0xff
#define PIDFD_INFO_EXIT_BIT (1u << 3)
struct pidfd_info_exit {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t pid, tgid, ppid;
    uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_GET_EXIT _IOWR(PIDFS_IOCTL_MAGIC_BYTE, 11, struct pidfd_info_exit)

/* Field 52 of /proc/PID/stat; fields are counted behind the last ')', where field 3 begins. */
static bool status_of_zombie(pid_t pid, int *ret_status)
{
    char path[32];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (len <= 0)
        return false;
    text[len] = '\0';
    char *at = strrchr(text, ')');
    if (!at || strncmp(at, ") Z", 3) != 0)
        return false;
    for (int field = 2; field < 52 && at; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, " %d", ret_status) == 1;
}

static bool status_of_pidfd(int pidfd, int *ret_status)
{
    struct pidfd_info_exit info = {.mask = PIDFD_INFO_EXIT_BIT};
    if (ioctl(pidfd, PIDFD_GET_EXIT, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT_BIT))
        return false;
    *ret_status = info.exit_code;
    return true;
}

struct exit_status exit_status_of(pid_t pid, int pidfd)
{
    struct exit_status result = {.exit_code = -1};
    int status;
    if (!status_of_zombie(pid, &status) && !status_of_pidfd(pidfd, &status))
        return result;
    if (WIFSIGNALED(status))
        result.signal = WTERMSIG(status);
    else if (WIFEXITED(status))
        result.exit_code = WEXITSTATUS(status);
    return result;
}
