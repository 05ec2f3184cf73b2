"""The test's own door, ``/_strict``: JSON, unauthenticated, loopback only.

``README.md`` describes each request. Names that are not known are errors, so a
typing mistake fails a test instead of passing it.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from . import moto_state
from .faults import Fault, FaultError
from .propagation import LONG_AGO
from .wire import Answer, HttpRequest
from .world import World
from .worldclock import rfc3339, seconds_of

PREFIX = "/_strict/"

Body = Mapping[str, Any]


class Refused(Exception):
    """A control request that can't be carried out."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(world: World, request: HttpRequest) -> Answer:
    if not ipaddress.ip_address(request.client_ip).is_loopback:
        return _json(403, {"error": "only from this machine"})
    name = request.path.removeprefix(PREFIX).rstrip("/")
    handler = _HANDLERS.get((request.method, name))
    if handler is None:
        known = ", ".join(f"{method} {PREFIX}{path}" for method, path in _HANDLERS)
        return _json(404, {"error": f"known: {known}"})
    try:
        return _json(200, handler(world, _arguments(request)))
    except Refused as refused:
        return _json(refused.status, {"error": str(refused)})
    except (FaultError, TypeError, ValueError) as error:
        return _json(400, {"error": str(error)})


def _arguments(request: HttpRequest) -> dict[str, Any]:
    """The JSON body; of a GET, the query."""
    if request.method == "GET":
        return {name: values[-1] for name, values in parse_qs(request.query).items()}
    if not request.body:
        return {}
    arguments = json.loads(request.body)
    if not isinstance(arguments, dict):
        raise Refused(400, "the body is not a JSON object")
    return arguments


def _json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value).encode(), "application/json")


def _known_only(arguments: Body, known: tuple[str, ...]) -> None:
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise Refused(400, f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")


def _health(world: World, arguments: Body) -> Any:
    return {"status": "ok", "world": rfc3339(world.clock.now())}


def _reset(world: World, arguments: Body) -> Any:
    world.reset()
    return {"reset": True}


def _clock(world: World, arguments: Body) -> Any:
    propagation = world.propagation
    return {
        "world": rfc3339(world.clock.now()),
        "advanced": world.clock.advanced,
        "skew": world.clock.skew,
        "visible": propagation.visible,
        "linger": propagation.linger,
    }


def _set_clock(world: World, arguments: Body) -> Any:
    _known_only(arguments, ("advance", "visible", "linger", "skew"))
    numbers = {}
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(400, f"{name} is a number of seconds")
        numbers[name] = float(value)
    with world.lock:
        for name in ("visible", "linger"):
            if name in numbers:
                setattr(world.propagation, name, numbers[name])
        world.clock.skew = numbers.get("skew", world.clock.skew)
        world.clock.advance(numbers.get("advance", 0.0))
    return _clock(world, {})


def _arm_fault(world: World, arguments: Body) -> Any:
    fault = Fault.described(arguments)
    world.faults.arm(fault)
    return {"armed": fault.mode, "action": fault.action}


def _faults(world: World, arguments: Body) -> Any:
    return world.faults.armed()


def _clear_faults(world: World, arguments: Body) -> Any:
    return {"cleared": world.faults.reset()}


def _journal(world: World, arguments: Body) -> Any:
    return world.journal.entries()


def _clear_journal(world: World, arguments: Body) -> Any:
    world.journal.reset()
    return {"cleared": True}


def _keys(world: World, arguments: Body) -> Any:
    """The keys as they are, whatever propagation still hides."""
    _known_only(arguments, ("user",))
    with world.lock:
        user = _user(arguments)
        shown = []
        for key in user.access_keys:
            used = key.last_used
            shown.append(
                {
                    "id": key.access_key_id,
                    "status": key.status,
                    "created": rfc3339(seconds_of(key.create_date)),
                    "last_used": rfc3339(seconds_of(used.timestamp)) if used else None,
                    "secret": key.secret_access_key,
                }
            )
        return shown


def _secrets(world: World, arguments: Body) -> Any:
    """What was ever handed out, also of keys and sessions that are gone."""
    _known_only(arguments, ())
    with world.lock:
        keys = [
            {"id": key.access_key_id, "secret": key.secret_access_key, "token": None}
            for key in moto_state.iam().access_keys.values()
        ]
        departed = [
            {"id": key.key_id, "secret": key.secret, "token": None}
            for key in world.propagation.all_departed()
        ]
        sessions = [
            {"id": session.key_id, "secret": session.secret, "token": session.token}
            for session in world.sessions.all()
        ]
        return keys + departed + sessions


def _plant_key(world: World, arguments: Body) -> Any:
    """A key that has been there for a while: no quota, no propagation."""
    _known_only(arguments, ("user", "age", "status"))
    if arguments.get("status", "Active") not in ("Active", "Inactive"):
        raise Refused(400, "status is Active or Inactive")
    with world.lock:
        user = _user(arguments)
        key = moto_state.iam().create_access_key(user.name)
        key.create_date -= timedelta(seconds=float(arguments.get("age", 0)))
        key.status = arguments.get("status", "Active")
        if key.status != "Active":
            world.propagation.key_deactivated(key.access_key_id, LONG_AGO)
        return {
            "id": key.access_key_id,
            "secret": key.secret_access_key,
            "status": key.status,
            "created": rfc3339(seconds_of(key.create_date)),
        }


def _set_used(world: World, arguments: Body) -> Any:
    """Sets a key's last use; without ``ago`` it means never."""
    _known_only(arguments, ("id", "ago", "service", "region"))
    with world.lock:
        key = moto_state.find_key(arguments.get("id", ""))
        if key is None:
            raise Refused(404, f"no key {arguments.get('id')}")
        if arguments.get("ago") is None:
            key.last_used = None
            return {"id": key.access_key_id, "last_used": None}
        at = world.clock.now() - float(arguments["ago"])
        service = arguments.get("service", "sts")
        region = arguments.get("region", "us-east-1")
        moto_state.set_last_used(key, at, service, region)
        return {"id": key.access_key_id, "last_used": rfc3339(at)}


def _user(arguments: Body) -> moto_state.StrictUser:
    name = arguments.get("user")
    if not name:
        raise Refused(400, "user is missing")
    user = moto_state.find_user(name)
    if user is None:
        raise Refused(404, f"no user {name}")
    return user


_HANDLERS: dict[tuple[str, str], Callable[[World, Body], Any]] = {
    ("GET", "health"): _health,
    ("POST", "reset"): _reset,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _set_clock,
    ("POST", "fault"): _arm_fault,
    ("DELETE", "fault"): _clear_faults,
    ("GET", "faults"): _faults,
    ("GET", "journal"): _journal,
    ("DELETE", "journal"): _clear_journal,
    ("GET", "keys"): _keys,
    ("POST", "keys"): _plant_key,
    ("GET", "secrets"): _secrets,
    ("POST", "used"): _set_used,
}
