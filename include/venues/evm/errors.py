"""What a chain can answer instead of doing what it was asked."""

from __future__ import annotations

from include.venues.errors import Refused, Unavailable
from include.venues.evm.reverts import reason_of


class Reverted(Refused):
    """The contract refused the call.

    :param reason: the revert string, the panic or the custom error in words; raw hex for an unknown one.
    :param data: the revert data as the contract returned it; empty where the node did not pass it on.
    """

    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(f"execution reverted: {reason}")
        self.reason = reason
        self.data = data

    def __reduce__(self) -> tuple[type[Reverted], tuple[str, bytes]]:
        return type(self), (self.reason, self.data)

    @classmethod
    def from_data(cls, data: bytes) -> Reverted:
        """Decode what the contract returned."""
        return cls(reason_of(data), data)


class NonceTooLow(Refused):
    """The nonce is already spent by a mined transaction, which may be this very one."""


class Underpriced(Refused):
    """The node will not take the transaction at this fee."""


class ReplacementUnderpriced(Underpriced):
    """Another transaction with this nonce waits in the pool, and this one does not outbid it."""


class InsufficientFunds(Refused):
    """The sender's ether does not cover the value and the most that the gas may cost."""


class WrongChain(Refused):
    """The endpoint serves another chain than the one that was configured."""


class TooLarge(Unavailable):
    """The node will not do so much in one request: less at once may work."""


class NodeError(Exception):
    """The node's own JSON-RPC error, before anyone has judged what it means. It never leaves this package.

    :param code: the JSON-RPC error code, 0 where there was none.
    :param message: the node's text.
    :param data: whatever the node attached: revert data, a text, nothing.
    """

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data
