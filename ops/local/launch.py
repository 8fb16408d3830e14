"""Become another program that ends when its parent does, under another account where asked.

Run as a script: `launch.py PARENT SIGNAL ACCOUNT PROGRAM [ARGUMENT...]`. ACCOUNT is `-` for our
own, `namespace` for our own seen through a user namespace, or `uid:gid`.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def enter(account: str) -> None:
    """Change to the account. Raises OSError where the system forbids it."""
    if account == "namespace":
        if not sys.platform.startswith("linux"):
            raise PermissionError("user namespaces are Linux's")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), "a user namespace is forbidden here")
    elif account != "-":
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def follow(parent: int, signal: int) -> None:
    """Have the kernel send us the signal when the parent dies; only Linux offers it.

    A change of account forgets this, so it comes after `enter`; it survives the exec.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        sys.exit("the parent ended before this program began")


def main(parent: str, signal: str, account: str, *argv: str) -> None:
    """Replace this process by the program."""
    try:
        enter(account)
        follow(int(parent), int(signal))
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted between us and the program
    except OSError as error:
        sys.exit(f"{argv[0]}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
