"""Ask a node, and judge its answer: the contract's refusal, or the node's trouble, or a result to parse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, cast

from include.venues.errors import Unavailable
from include.venues.evm.errors import InsufficientFunds, NodeError
from include.venues.evm.node_errors import Meaning, meaning_of, revert_of
from include.venues.evm.parse import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3.types import RPCEndpoint

_T = TypeVar("_T")


class Provider(Protocol):
    """What carries a request to a node and brings back its JSON-RPC answer; web3's providers fit."""

    def make_request(self, method: RPCEndpoint, params: Any) -> Any:
        """Send one request, once.

        :raises Unavailable: when no answer came back.
        """
        ...


class Rpc:
    """The requests to one node.

    :param provider: carries them.
    :param label: how error texts name the node; it holds no part of a key.
    :param redact: takes the key out of what the node says, for some nodes repeat it.
    """

    def __init__(self, provider: Provider, *, label: str, redact: Callable[[str], str]) -> None:
        self._provider = provider
        self._redact = redact
        self.label = label

    def ask(self, method: str, *params: object) -> Any:
        """Send one request and return the result as the node gave it.

        :raises NodeError: when the node answered with an error.
        :raises Unavailable: when it gave no sound answer.
        """
        answer = self._provider.make_request(cast("RPCEndpoint", method), list(params))
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            code = error.get("code")
            text = self._redact(str(error.get("message", "")))
            raise NodeError(code if isinstance(code, int) else 0, text, error.get("data"))
        if error is not None:
            raise NodeError(0, self._redact(str(error)))
        if not isinstance(answer, dict) or "result" not in answer:
            raise Unavailable(f"{self.label} gave a malformed answer to {method}")
        return answer["result"]

    def read(self, parse: Callable[[Any], _T], method: str, *params: object) -> _T:
        """Send one request whose every error means that the node could not be read.

        :raises Unavailable: for all of them.
        """
        try:
            answer = self.ask(method, *params)
        except NodeError as error:
            self.unavailable(method, error)
        return self._parsed(parse, method, answer)

    def simulate(self, parse: Callable[[Any], _T], method: str, *params: object) -> _T:
        """Send one request that runs a contract.

        :raises Reverted: when the contract refuses.
        :raises InsufficientFunds: when the sender does not have the ether.
        :raises Unavailable: for everything else.
        """
        try:
            answer = self.ask(method, *params)
        except NodeError as error:
            # In this order: a contract, too, may say "insufficient funds".
            reverted = revert_of(error)
            if reverted is not None:
                raise reverted from error
            if meaning_of(error) is Meaning.INSUFFICIENT_FUNDS:
                raise InsufficientFunds(f"{self.label}: {error}") from error
            self.unavailable(method, error)
        return self._parsed(parse, method, answer)

    def unavailable(self, method: str, error: NodeError) -> NoReturn:
        """Turn the node's error into ours."""
        raise Unavailable(f"{self.label} answered {method} with: {error}") from error

    def _parsed(self, parse: Callable[[Any], _T], method: str, answer: object) -> _T:
        try:
            return parse(answer)
        except MALFORMED as problem:
            raise Unavailable(f"{self.label} gave a malformed answer to {method}") from problem
