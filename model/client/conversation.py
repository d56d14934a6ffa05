"""Send requests to an endpoint, repeat them, and see that one model answers all. Plain HTTP."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import count
from threading import Event, Lock
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from ..errors import EndpointError, InvalidRequest, find_tag
from .endpoint import Endpoint
from .pace import CONCURRENCY, Pace

TIMEOUT_S = 300  # the platform's own limit is 297 s
ATTEMPTS = 8  # where nobody answers
PATIENCE_S = 20 * 60  # so long may an endpoint take to start that was scaled to zero
BEGINNINGS = 3  # of a data set whose served entity is taken away
BUSY = (429, 503, 504)
_BAD_GATEWAY = 502
_LONGEST_PAUSE_S = 10
_CUT_OFF = (  # before or in the middle of the answer
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """The facts of a conversation.

    Parameters
    ----------
    requests
        Requests that were answered.
    model_digest
        Digest of the model that spoke; one for all answers.
    served
        Served entities that answered, sorted.
    """

    requests: int
    model_digest: str
    served: tuple[str, ...]

    def origin(self, endpoint: Endpoint | None) -> dict[str, Any]:
        """Return what ``uns["scgpt"]`` keeps about who answered; None: this process did."""
        models = endpoint.models if endpoint else {}
        known = [models[name] for name in self.served if name in models]
        return {
            "endpoint": endpoint.name if endpoint else "",
            "model_digest": self.model_digest,
            "model_uri": " ".join(known),
            "served_entities": list(self.served),
        }


class Speaker(Protocol):
    """Answers requests of the wire contract with one model: an endpoint, or this machine."""

    def ask(self, body: Mapping[str, Any], work: int = 0) -> list[dict[str, Any]]:
        """Return the lines of an answer."""
        ...

    def stop(self) -> None:
        """Give up what waits for its turn."""
        ...

    def report(self) -> Report:
        """Return the facts, after the last answer."""
        ...


def converse(
    endpoint: Endpoint,
    work: Callable[[Conversation], T],
    *,
    concurrency: int = CONCURRENCY,
    patience: float | None = None,
) -> T:
    """Return the result of `work`, all of whose answers come from one served entity.

    Where that entity is taken away meanwhile, `work` begins again with whatever is served then.

    Raises
    ------
    EndpointError
        ``version_gone``, after the last beginning; and as :meth:`Conversation.ask`.
    """
    for again in reversed(range(BEGINNINGS)):
        with Conversation(endpoint, concurrency, patience) as conversation:
            try:
                return work(conversation)
            except EndpointError as error:
                if error.code != "version_gone" or not again:
                    raise
    raise AssertionError("the loop returns or raises")


class Conversation:
    """Requests to one endpoint whose answers belong together: one model gives them all.

    The first request goes where the endpoint's traffic split sends it. The others follow to the
    served entity that answered it, whatever the split is, so that a canary never shows up in the
    middle of a data set. After the first, several threads may ask.

    Parameters
    ----------
    endpoint
        Where to ask.
    concurrency
        The most requests that are under way at a time.
    patience
        Seconds in all for which a request is repeated while the endpoint is busy or starts.
    """

    def __init__(
        self, endpoint: Endpoint, concurrency: int = CONCURRENCY, patience: float | None = None
    ) -> None:
        self.endpoint, self.pace = endpoint, Pace(concurrency)
        self.patience = PATIENCE_S if patience is None else patience
        self._url = endpoint.url
        self._session = requests.Session()
        self._session.trust_env = not _is_loopback(endpoint.url)  # where no proxy is asked
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=concurrency))
        self._answered, self._digest, self._served = 0, "", set[str]()
        self._lock, self._stopped, self._has_told = Lock(), Event(), False

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._session.close()

    def ask(self, body: Mapping[str, Any], work: int = 0) -> list[dict[str, Any]]:
        """The lines of an answer; a busy endpoint is asked again.

        Parameters
        ----------
        body
            The request.
        work
            How much there is to do, in any unit; the pace follows the time that a unit takes.

        Raises
        ------
        InvalidRequest
            What the model refuses, with the model's own code.
        EndpointError
            No access, no such endpoint, not ready, not reachable, ``foreign_answer`` (of
            something else than this model), ``two_models``, or ``version_gone``.
        """
        answer = self._post(body, work)
        lines = _lines(self.endpoint, answer)
        served = answer.headers.get("served-model-name")
        with self._lock:
            self._answered += 1
            self._served.add(served or "unknown")
            if served and not self.endpoint.address:  # entities have no address of their own there
                self._url = self.endpoint.url_of(served)
            for line in lines:
                self._one_model(line["model_digest"])
        return lines

    def stop(self) -> None:
        """Give up what waits to ask again."""
        self._stopped.set()

    def go_on(self, origin: Mapping[str, Any]) -> None:
        """Follow the served entity of earlier answers, of which ``Report.origin`` was kept."""
        self._digest, self._served = str(origin["model_digest"]), {*origin["served_entities"]}
        if len(self._served) == 1 and "unknown" not in self._served and not self.endpoint.address:
            self._url = self.endpoint.url_of(*self._served)

    def report(self) -> Report:
        """After the last answer."""
        return Report(self._answered, self._digest, tuple(sorted(self._served)))

    def _one_model(self, digest: str) -> None:
        if self._digest and digest != self._digest:
            raise EndpointError(
                "two_models" if self._answered > 1 else "version_gone",
                f"the endpoint answered with models {self._digest[:12]} and {digest[:12]} in turn; "
                "their embeddings cannot be mixed. Ask one served entity, or wait until the "
                "rollout is over.",
            )
        self._digest = digest

    def _post(self, body: Mapping[str, Any], work: int) -> requests.Response:
        waited, cut_off = 0.0, 0
        for attempt in count(1):
            if self._stopped.is_set():
                raise EndpointError("stopped", "the data set was given up.")
            seconds = _backoff(attempt)
            try:
                with self.pace.turn():
                    answer = self._once(body, work)
            except _CUT_OFF as error:
                cut_off += 1
                if cut_off == ATTEMPTS:
                    raise EndpointError(
                        "unreachable",
                        f"{_host(self.endpoint)} cannot be reached ({type(error).__name__}). "
                        f"{_advice_to_reach(self.endpoint.url)}",
                    ) from None
            else:
                if answer.status_code == 200:
                    return answer
                self._check_may_repeat(answer, attempt)
                seconds = max(seconds, _retry_after(answer))
                if waited + seconds > self.patience:
                    raise _refusal(self.endpoint, answer)
                self._tell(answer)
            waited += seconds
            if not self._stopped.is_set():
                pause(self._stopped, seconds)
        raise AssertionError("the loop returns or raises")

    def _tell(self, answer: requests.Response) -> None:
        """Say once that the endpoint is waited for, and how long that may take."""
        with self._lock:
            told, self._has_told = self._has_told, True
        if not told:
            _log.warning(
                "%s answers %d: busy, or starting. It is asked again for up to %.0f s.",
                self.endpoint.name,
                answer.status_code,
                self.patience,
            )

    def _once(self, body: Mapping[str, Any], work: int) -> requests.Response:
        endpoint, began = self.endpoint, time.monotonic()
        try:
            answer = self._session.post(
                self._url, json=body, headers=dict(endpoint.headers()), timeout=TIMEOUT_S
            )
        except requests.ConnectionError:  # one of them is a time-out as well
            raise
        except requests.Timeout:
            raise EndpointError(
                "timed_out",
                f"{endpoint.name} gave no answer within {TIMEOUT_S} s. Send fewer cells per "
                "request, or see the endpoint's logs.",
            ) from None
        if answer.status_code == 200:
            self.pace.answered(time.monotonic() - began, work)
        elif answer.status_code in BUSY:
            self.pace.refused()
        return answer

    def _check_may_repeat(self, answer: requests.Response, attempt: int) -> None:
        """Refuse an answer that another try would not change."""
        if answer.status_code == 404 and self._url != self.endpoint.url:
            raise EndpointError(
                "version_gone",
                f"{', '.join(self._served)} is no longer served by {self.endpoint.name}: a "
                "rollout took it away while it was being asked. Start again.",
                404,
            )
        again = answer.status_code == _BAD_GATEWAY and attempt < ATTEMPTS
        if answer.status_code not in BUSY and not again:
            raise _refusal(self.endpoint, answer)


def pause(stopped: Event, seconds: float) -> None:
    """Wait, or until a conversation is given up."""
    stopped.wait(seconds)


def _backoff(attempt: int) -> float:
    """Return seconds before another try; apart, so that requests do not come back together."""
    return min(0.25 * 2.0**attempt, _LONGEST_PAUSE_S) * random.uniform(0.75, 1)  # noqa: S311


def _retry_after(answer: requests.Response) -> float:
    """Return the seconds that an answer asks to wait for, 0 where it does not."""
    said = answer.headers.get("Retry-After", "")
    try:
        return max(float(said), 0.0)
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    return max((then - datetime.now(then.tzinfo)).total_seconds(), 0.0)


def _is_loopback(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    return name in ("localhost", "::1") or name.startswith("127.")


def _lines(endpoint: Endpoint, answer: requests.Response) -> list[dict[str, Any]]:
    try:
        lines: list[dict[str, Any]] = answer.json()["predictions"]
        if lines and all(isinstance(line["model_digest"], str) for line in lines):
            return lines
    except (ValueError, KeyError, TypeError):  # a login page, say, or another model
        pass
    raise EndpointError(
        "foreign_answer",
        f"{endpoint.url} does not answer as this model does, but: {answer.text[:200]!r}. "
        "Check the endpoint's name, and that no proxy answers in its place.",
    )


def _host(endpoint: Endpoint) -> str:
    found = urlsplit(endpoint.url)
    return f"{found.scheme}://{found.netloc}"


def _advice_to_reach(url: str) -> str:
    if _is_loopback(url):
        return "Is the workspace running? (scgpt workspace status)"
    return "Check the host, the network, and the proxy (HTTPS_PROXY, NO_PROXY)."


def _refusal(endpoint: Endpoint, answer: requests.Response) -> Exception:
    """The endpoint's refusal in this package's words."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):  # a proxy's page rather than the platform's JSON
        message = answer.text[:300]
    if tagged := find_tag(message):
        return InvalidRequest(*tagged)
    said = f"{endpoint.name} answered {answer.status_code}: {message.rstrip(' .')}."
    advice = {
        401: " Check the profile or DATABRICKS_TOKEN.",
        403: " The caller needs CAN_QUERY on the endpoint.",
        404: " Is the name right, and is the endpoint deployed and ready?",
    }.get(answer.status_code, "")
    return EndpointError("refused", said + advice, answer.status_code)
