"""The account that programs which refuse to run as root are run with."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import typing as t

from .npm import MissingProgramError

NAMES = ("postgres", "nobody")  # the first that the machine has


class Account(t.NamedTuple):
    """A user of this machine, and what stands before a command so that it runs as that user."""

    uid: int
    gid: int
    prefix: tuple[str, ...]

    def own(self, path: pathlib.Path) -> None:
        """Give a file, or a folder and all in it, to this user."""
        if self.uid == os.geteuid():
            return
        os.lchown(path, self.uid, self.gid)
        for parent, folders, files in os.walk(path):
            for name in folders + files:
                os.lchown(os.path.join(parent, name), self.uid, self.gid)


def unprivileged() -> Account:
    """Oneself, or for root the first of NAMES.

    That user keeps one capability, passing over file permissions: the programs and the state lie in root's home folder, which nobody else may enter.
    PostgreSQL asks access(2) about files, which drops capabilities unless the no_setuid_fixup bit is set.
    Raises MissingProgramError where root has no such user, or no setpriv (util-linux).
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), ())
    if (setpriv := shutil.which("setpriv")) is None:
        raise MissingProgramError("PostgreSQL does not run as root, and setpriv (util-linux) was not found: install it, or run as another user.")
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = next((users[name] for name in NAMES if name in users), None)
    if user is None:
        raise MissingProgramError(f"PostgreSQL does not run as root, and there is no user {' or '.join(NAMES)}: add one, or run as another user.")
    capability = ("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--securebits=+no_setuid_fixup")
    prefix = (setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *capability, "--")
    return Account(user.pw_uid, user.pw_gid, prefix)
