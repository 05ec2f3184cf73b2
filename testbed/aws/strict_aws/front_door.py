"""The way of one request: read, struck by a fault or not, judged, applied, noted."""

from __future__ import annotations

import sys
import time
import traceback
import uuid

from moto.core.exceptions import ServiceException

from . import control, errors, iam_rules, moto_state, secrets_rules, sts
from .authentication import Caller, authenticate, note_use
from .errors import AwsError
from .faults import Fault
from .journal import Entry
from .wire import (
    VERSION_OF_SERVICE,
    Answer,
    Call,
    Dropped,
    HttpRequest,
    error_answer,
    protocol_of,
    read_call,
)
from .world import World
from .worldclock import rfc3339


class FrontDoor:
    """Answers HTTP requests as AWS would, in the given world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def answer(self, request: HttpRequest) -> Answer | Dropped:
        if request.path.startswith(control.PREFIX):
            return control.answer(self.world, request)
        try:
            call = read_call(request)
        except AwsError as error:
            return self._unreadable(request, error)
        key_id = _claimed_key(request)
        fault = self.world.faults.strike(call, key_id)
        entry = self.world.journal.open(
            call.action,
            call.service,
            key_id,
            call.parameters,
            rfc3339(self.world.clock.now()),
            fault.mode if fault else None,
            request.connection,
        )
        if fault is None:
            return self._serve(call, entry, self.world.generation)
        return self._struck(fault, call, entry)

    def _unreadable(self, request: HttpRequest, error: AwsError) -> Answer:
        """A request that names no known action is still a call that was made."""
        entry = self.world.journal.open(
            "?",
            "?",
            _claimed_key(request),
            {},
            rfc3339(self.world.clock.now()),
            None,
            request.connection,
        )
        entry.status, entry.code = error.status, error.code
        return error_answer(error, protocol_of(request), "iam", str(uuid.uuid4()))

    def _struck(self, fault: Fault, call: Call, entry: Entry) -> Answer | Dropped:
        generation = self.world.generation
        match fault.mode:
            case "before":
                return Dropped()
            case "after":
                self._serve(call, entry, generation)
                return Dropped()
            case "delay":
                if fault.apply_first:
                    answer = self._serve(call, entry, generation)
                    time.sleep(fault.seconds)
                    return answer
                time.sleep(fault.seconds)
                return self._serve(call, entry, generation)
            case "body":
                if fault.apply:
                    self._serve(call, entry, generation)
                return Answer(fault.status, fault.body.encode(), fault.content_type)
            case _:
                error = AwsError(fault.code, fault.message, fault.status)
                entry.status, entry.code = fault.status, fault.code
                return error_answer(error, call.protocol, call.service, call.request_id)

    def _serve(self, call: Call, entry: Entry, generation: int) -> Answer | Dropped:
        """Judges and applies a call; nothing else happens in the world meanwhile."""
        with self.world.lock:
            if generation != self.world.generation:
                return Dropped()  # held back across a reset
            try:
                caller = self._admit(call, entry)
                answer = self._apply(call, caller)
                if caller is not None:
                    note_use(self.world, caller, call)
            except Exception as problem:
                return self._refuse(problem, call, entry)
            entry.status = answer.status
            return answer

    def _admit(self, call: Call, entry: Entry) -> Caller | None:
        """The caller, or ``None`` for an action that is not signed."""
        if call.action not in moto_state.actions_of(call.service):
            version = VERSION_OF_SERVICE.get(call.service, call.service)
            raise errors.unknown_action(call.action, version)
        if call.service == "sts" and call.action in sts.UNSIGNED:
            return None
        caller = authenticate(self.world, call)
        entry.principal = caller.principal.arn
        return caller

    def _apply(self, call: Call, caller: Caller | None) -> Answer:
        if caller is None:
            return sts.assume_role_with_web_identity(self.world, call)
        match call.service:
            case "iam":
                return iam_rules.serve(self.world, call, caller)
            case "sts":
                return sts.serve(self.world, call, caller)
            case _:
                return secrets_rules.serve(self.world, call, caller)

    def _refuse(self, problem: Exception, call: Call, entry: Entry) -> Answer:
        if isinstance(problem, ServiceException):
            problem = moto_state.translated(problem)
        if not isinstance(problem, AwsError):
            traceback.print_exception(problem, file=sys.stderr)
            problem = errors.internal_failure(f"{type(problem).__name__}: {problem}")
        answer = error_answer(problem, call.protocol, call.service, call.request_id)
        entry.status = answer.status
        entry.code = problem.json_code if call.protocol == "json" else problem.code
        return answer


def _claimed_key(request: HttpRequest) -> str | None:
    """The key id the request claims to be signed with."""
    _, found, rest = request.headers.get("authorization", "").partition("Credential=")
    return rest.split("/")[0] if found else None
