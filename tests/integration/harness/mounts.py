# SPDX-License-Identifier: Apache-2.0
"""File systems that only one node sees, in a mount namespace of its own."""
import subprocess

import pytest

WRAPPER = ["unshare", "-m", "--propagation", "private"]


def _possible():
    try:
        return subprocess.run([*WRAPPER, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


needs_mounts = pytest.mark.skipif(
    not _possible(), reason="needs root and the right to make a mount namespace")


def with_tmpfs(folder, options):
    """A command's prefix: it runs with a tmpfs of its own at `folder`."""
    return [*WRAPPER, "sh", "-c", f'mount -t tmpfs -o {options} none {folder} && exec "$@"', "sh"]
