# SPDX-License-Identifier: GPL-2.0-only
"""Messages of commits: a subject in the imperative, and a body that says why.

Whether a body says why is for a reader to judge. Of the subject, only the form of its
first word is checked: "fixed", "fixes" and "fixing" are found, "table of pages" is not.
"""

import re
import subprocess
import textwrap
from pathlib import Path

from .. import paths
from ..cli import Stop

BASE = "62f4a40c127cf854a332cc86c9aa9fb615963103"
"""The messages up to this commit are older than the rules."""
WIDTH = 72

_PREFIX = re.compile(r"(?:[\w./*-]+(?:, [\w./*-]+)*: )*")
_TRAILER = re.compile(r"(?:[A-Z][\w-]*-by|Cc|Closes|Fixes|Link): ")
# Verbs in the imperative that look like another form.
_IMPERATIVE = frozenset("alias bias bring embed focus ping shed".split())
# First words of a title or a story, in addition to words that end in -ed, -ing or -s.
_OTHER = frozenset(
    "a all an every had made more new no now one our said some that the there these this those two what when which who"
    " wrote".split()
)


def _is_imperative(word: str) -> bool:
    if word in _IMPERATIVE:
        return True
    past = word.endswith("ed") and not word.endswith("eed")
    third_person = word.endswith("s") and not word.endswith("ss")
    return not (past or third_person or word.endswith("ing") or word in _OTHER)


def wrong(message: str) -> list[str]:
    """The problems of a message."""
    subject, *rest = message.strip("\n").split("\n")
    found = []
    if len(subject) > WIDTH:
        found.append(f"the subject has {len(subject)} characters, {WIDTH} are the most")
    if subject.endswith("."):
        found.append("the subject ends with a period")
    first = re.match(r"[A-Za-z]*", subject[_PREFIX.match(subject).end() :])[0]
    if not first or not _is_imperative(first.lower()):
        found.append(f"{first or 'what the subject begins with'!r} is no verb in the imperative")
    if rest and rest[0].strip():
        found.append("the second line is not blank")
    if not any(line.strip() and not _TRAILER.match(line) for line in rest):
        found.append("there is no body that says why")
    return found


def _git(*arguments: str) -> subprocess.CompletedProcess:
    command = ["git", "-c", "safe.directory=*", "-c", "log.showSignature=false", *arguments]
    return subprocess.run(command, cwd=paths.repo(), capture_output=True, text=True, errors="replace", check=False)


def _read(log: str) -> list[tuple[str, str]]:
    """Names and messages of the commits of a raw log, which shows merges even at the border of a shallow clone."""
    found = []
    for commit in filter(None, log.split("\0")):
        head, _, message = commit.partition("\n\n")
        if head.count("\nparent ") < 2:
            found.append((head.split()[1][:12], textwrap.dedent(message)))
    return found


def check(_files: list[Path]) -> str:
    """Checks commits from BASE on, or as far as a shallow clone reaches. Merges have git's own messages."""
    known = _git("merge-base", "--is-ancestor", BASE, "HEAD").returncode == 0
    if not known and _git("rev-parse", "--is-shallow-repository").stdout.strip() != "true":
        raise Stop(f"commit {BASE[:12]} is not in this history", "run this in a clone of the project, or change BASE in commits.py")
    listed = _git("log", "-z", "--no-notes", "--format=raw", f"{BASE}..HEAD" if known else "HEAD")
    if listed.returncode:
        raise Stop("git cannot list the commits: " + listed.stderr.strip(), "run this in a git checkout")
    commits = _read(listed.stdout)
    if not known and not commits:
        raise Stop("this shallow clone has no commit to look at", "run: git fetch --unshallow")
    problems = []
    for name, message in commits:
        subject = message.strip().partition("\n")[0]
        problems += [f"{name}: {problem} ({subject!r})" for problem in wrong(message)]
    if problems:
        raise Stop("\n".join(["messages of commits:", *problems]), "see Documentation/contributing.md; git rebase -i changes them")
    where = f"since {BASE[:12]}" if known else "in a shallow clone, which does not reach further"
    return f"{len(commits)} commits {where}"
