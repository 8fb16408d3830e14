"""Stories of people: how they register, log in, change what is theirs, and leave."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from pyotp.totp import TOTP

from ops.sandbox import mailbox
from ops.sandbox.journal import whole_end
from ops.sandbox.mailbox import Kept, Letter
from ops.storm.faults.fault import until
from ops.storm.history import Asked, Entry, Op, Outcome
from ops.storm.matrix.scene import Scene, Unexpected

_PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
_OTHER_PASSWORD = "quite another set of words"  # noqa: S105 - of nobody
_CODE = re.compile(r"#([A-Za-z0-9_-]{64})")
_ME = "/v1/users/me"
_NEW_ADDRESS, _ADMIN = "new", "admin"


async def register(scene: Scene) -> None:
    """Ask for an account, through the broken process."""
    await _register(scene, "", front=True)


async def invited(scene: Scene) -> None:
    """Have somebody wait for an account, with the code of the mail."""
    await _register(scene, "")
    scene.keeps["code"] = await _code(scene, _email(scene))


async def confirm(scene: Scene) -> None:
    """Confirm the address, through the broken process."""
    await _confirm(scene, front=True)


async def welcomed(scene: Scene) -> None:
    """See the code of the mail make an account."""
    scene.keeps["code"] = await _code(scene, _email(scene))
    await _confirm(scene)
    await admitted(scene)


async def somebody(scene: Scene) -> None:
    """Have somebody registered."""
    await invited(scene)
    await _confirm(scene)


async def someone_inside(scene: Scene) -> None:
    """Have somebody logged in."""
    await somebody(scene)
    await admitted(scene)


async def log_in(scene: Scene) -> None:
    """Log in, through the broken process."""
    _keep_tokens(scene, done(await _log_in(scene, front=True)))


async def is_inside(scene: Scene) -> None:
    """See that who logged in is let in."""
    done(await ask(scene, "GET", _ME, token=scene.keeps["access_token"]))


async def admitted(scene: Scene) -> None:
    """See that one can log in."""
    _keep_tokens(scene, done(await _log_in(scene)))
    await is_inside(scene)


async def refresh(scene: Scene) -> None:
    """Go on with the next token, through the broken process; a lost answer ends the session."""
    content = {"refresh_token": scene.keeps["refresh_token"]}
    answer = await ask(scene, "POST", "/v1/sessions/refresh", content, front=True)
    if answer.outcome is Outcome.OK:
        _keep_tokens(scene, answer)
        await is_inside(scene)


async def forgetful(scene: Scene) -> None:
    """Have somebody ask for a new password, with the code of the mail."""
    await somebody(scene)
    done(await ask(scene, "POST", "/v1/password-resets", {"email": _email(scene)}))
    scene.keeps["code"] = await _code(scene, _email(scene), but=scene.keeps["code"])


async def reset_password(scene: Scene) -> None:
    """Choose the new password, through the broken process."""
    content = {"code": scene.keeps["code"], "password": _OTHER_PASSWORD}
    await ask(scene, "POST", "/v1/password-resets/confirm", content, front=True)


async def other_password(scene: Scene) -> None:
    """See that the new password is right, and the old one wrong."""
    done(await _log_in(scene, password=_OTHER_PASSWORD))
    _refused(await _log_in(scene), "login_refused")


async def moving(scene: Scene) -> None:
    """Have somebody change their address, confirmed at the old one and not yet at the new one."""
    await someone_inside(scene)
    content = {"email": _email(scene, _NEW_ADDRESS), "password": _PASSWORD}
    done(await ask(scene, "POST", f"{_ME}/email", content, token=scene.keeps["access_token"]))
    old = await _code(scene, _email(scene), but=scene.keeps["code"])
    done(await ask(scene, "POST", "/v1/users/email/confirm", {"code": old}))
    scene.keeps["code"] = await _code(scene, _email(scene, _NEW_ADDRESS))


async def confirm_address(scene: Scene) -> None:
    """Confirm the new address, through the broken process."""
    content = {"code": scene.keeps["code"]}
    await ask(scene, "POST", "/v1/users/email/confirm", content, front=True)


async def moved(scene: Scene) -> None:
    """See that the new address is the one that counts."""
    done(await _log_in(scene, who=_NEW_ADDRESS))
    _refused(await _log_in(scene), "login_refused")


async def with_authenticator(scene: Scene) -> None:
    """Have somebody's authenticator show what is to be confirmed."""
    await someone_inside(scene)
    token = scene.keeps["access_token"]
    answer = await ask(scene, "POST", f"{_ME}/totp", {"password": _PASSWORD}, token=token)
    scene.keeps["otp"] = TOTP(done(answer).told("secret")).now()


async def confirm_factor(scene: Scene) -> None:
    """Confirm it, through the broken process."""
    content, token = {"otp": scene.keeps["otp"]}, scene.keeps["access_token"]
    await ask(scene, "POST", f"{_ME}/totp/confirm", content, token=token, front=True)


async def factor_wanted(scene: Scene) -> None:
    """See that the password alone is not enough any more."""
    _refused(await _log_in(scene), "second_factor_required")


async def leave(scene: Scene) -> None:
    """Have the account deleted, through the broken process."""
    content, token = {"password": _PASSWORD}, scene.keeps["access_token"]
    await ask(scene, "POST", f"{_ME}/delete", content, token=token, front=True)


async def left(scene: Scene) -> None:
    """See that nobody can log in any more."""
    _refused(await _log_in(scene), "login_refused")


async def make_key(scene: Scene) -> None:
    """Make an API key, through the broken process."""
    content, token = {"name": "A shop", "scopes": ["orders:read"]}, scene.keeps["access_token"]
    answer = await ask(scene, "POST", "/v1/api-keys", content, token=token, front=True)
    scene.keeps["api_key"] = str(done(answer).told("key"))


async def opened(scene: Scene) -> None:
    """See that the key opens what it should."""
    done(await ask(scene, "GET", "/v1/orders", token=scene.keeps["api_key"]))


async def buyer(scene: Scene) -> None:
    """Have somebody logged in who placed an order before."""
    await someone_inside(scene)
    await scene.place()
    await scene.until("paid")


async def claim(scene: Scene) -> None:
    """Take the order into the account, through the broken process."""
    path, content = f"/v1/orders/{scene.order}/claim", {"claim_token": scene.claim_token}
    await ask(scene, "POST", path, content, token=scene.keeps["access_token"], front=True)


async def owned(scene: Scene) -> None:
    """See that the order is the account's, and its token opens nothing any more."""
    path = f"/v1/orders/{scene.order}"
    done(await ask(scene, "GET", path, token=scene.keeps["access_token"]))
    _refused(await ask(scene, "GET", path, token=scene.claim_token), "not_found")


async def admin(scene: Scene) -> None:
    """Have an admin beside somebody who is logged in."""
    await someone_inside(scene)
    await _register(scene, _ADMIN)
    scene.keeps["code"] = await _code(scene, _email(scene, _ADMIN))
    user = done(await _confirm(scene)).told("id")
    await scene.sql("UPDATE users SET role = 'admin' WHERE id = %s", user)
    answer = done(await _log_in(scene, who=_ADMIN))
    scene.keeps["admin"] = answer.told("access_token")


async def disable(scene: Scene) -> None:
    """Have the admin take all access away, through the broken process."""
    me = done(await ask(scene, "GET", _ME, token=scene.keeps["access_token"])).told("id")
    path, content = f"/v1/users/{me}", {"disabled": True}
    await ask(scene, "PATCH", path, content, token=scene.keeps["admin"], front=True)


async def locked_out(scene: Scene) -> None:
    """See that it counts at once, for who was inside, too."""
    _refused(await ask(scene, "GET", _ME, token=scene.keeps["access_token"]), "unauthenticated")
    _refused(await _log_in(scene), "login_refused")


def _email(scene: Scene, who: str = "") -> str:
    return f"{scene.name}{who and f'.{who}'}@example.com"


async def _register(scene: Scene, who: str, *, front: bool = False) -> None:
    content = {"email": _email(scene, who), "password": _PASSWORD}
    done(await ask(scene, "POST", "/v1/registrations", content, front=front))


async def _confirm(scene: Scene, *, front: bool = False) -> Entry:
    content = {"code": scene.keeps["code"], "password": _PASSWORD}
    return await ask(scene, "POST", "/v1/registrations/confirm", content, front=front)


async def _log_in(
    scene: Scene, *, who: str = "", password: str = _PASSWORD, front: bool = False
) -> Entry:
    content = {"email": _email(scene, who), "password": password}
    return await ask(scene, "POST", "/v1/sessions", content, front=front)


async def ask(  # noqa: PLR0913 - a request has as many parts
    scene: Scene,
    method: str,
    path: str,
    content: Any = None,  # noqa: ANN401 - JSON
    *,
    token: str = "",
    front: bool = False,
) -> Entry:
    """Ask until there is an answer; what asks for no key may be done twice, or refused again."""
    urls = (scene.lane.broken_url, scene.lane.url) if front else (scene.lane.url,)
    asked = Asked(Op.WRITE, method, path, order=scene.order, content=content, staff=bool(token))
    return await scene.lane.clients(*urls, token=token).ask(asked)


def done(entry: Entry) -> Entry:
    """Give an answer back that is the one wanted; raises Unexpected."""
    if entry.outcome is not Outcome.OK:
        raise Unexpected(f"{_request(entry)} was answered {entry.last.status} {entry.last.code}.")
    return entry


def _refused(entry: Entry, code: str) -> None:
    if entry.last.code != code:
        what = entry.last.code or entry.last.status
        raise Unexpected(f"{_request(entry)} was answered {what}, not {code}.")


def _request(entry: Entry) -> str:
    return f"{entry.asked.method} {entry.asked.path}"


def _keep_tokens(scene: Scene, entry: Entry) -> None:
    for token in ("access_token", "refresh_token"):
        scene.keeps[token] = str(entry.told(token))


async def _code(scene: Scene, email: str, *, but: str = "") -> str:
    """Wait for the code of a mail, another one than `but`."""

    def codes() -> list[str]:
        found = (code for one in _mails(scene, email) for code in _CODE.findall(one.text))
        return [code for code in found if code != but]

    async def has_come() -> bool:
        return bool(codes())

    await until(has_come)
    return codes()[-1]


def _mails(scene: Scene, email: str) -> Iterator[Letter]:
    path = scene.lane.sandbox / mailbox.FILE
    if path.exists():
        with path.open("rb") as file:
            for line in file.read(whole_end(path)).splitlines():
                one = mailbox.letter(0, msgspec.json.decode(line, type=Kept))
                if one.to == email:
                    yield one
