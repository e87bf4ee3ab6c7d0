# SPDX-License-Identifier: Apache-2.0
"""The project's own files, for the checks: what git knows or would add, without what it ignores."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = {"node_modules", "__pycache__", ".git"}


def _listed_by_git():
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z", "--cached",
         "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name]


def _walked():
    return [path for path in ROOT.rglob("*")
            if path.is_file() and not path.relative_to(ROOT).parts[0].startswith("build")
            and not SKIPPED & set(path.parts)]


def files(*suffixes):
    """Paths of the tree, sorted; of these suffixes when any are given."""
    try:
        paths = _listed_by_git()
    except (OSError, subprocess.CalledProcessError):
        paths = _walked()  # an unpacked archive has no git
    return sorted({path for path in paths
                   if path.is_file() and (not suffixes or path.suffix in suffixes)})


def relative(path):
    return str(path.relative_to(ROOT))
