"""Turn what a contract returns when it reverts into words."""

from __future__ import annotations

from functools import cache

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_LONGEST = 400

# What the compiler checks by itself, by its published code.
_PANICS = {
    0x00: "generic compiler panic",
    0x01: "assertion failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division by zero",
    0x21: "value out of range for the enum",
    0x22: "badly encoded storage byte array",
    0x31: "pop from an empty array",
    0x32: "array index out of bounds",
    0x41: "out of memory",
    0x51: "call of an uninitialised function",
}

# Custom errors of the libraries on which tokens and vaults are commonly built.
_SIGNATURES = (
    "ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)",
    "ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)",
    "ERC20InvalidSender(address sender)",
    "ERC20InvalidReceiver(address receiver)",
    "ERC20InvalidApprover(address approver)",
    "ERC20InvalidSpender(address spender)",
    "ERC4626ExceededMaxDeposit(address receiver, uint256 assets, uint256 max)",
    "ERC4626ExceededMaxMint(address receiver, uint256 shares, uint256 max)",
    "ERC4626ExceededMaxWithdraw(address owner, uint256 assets, uint256 max)",
    "ERC4626ExceededMaxRedeem(address owner, uint256 shares, uint256 max)",
    "SafeERC20FailedOperation(address token)",
    "SafeERC20FailedDecreaseAllowance(address spender, uint256 currentAllowance, uint256 requestedDecrease)",
    "OwnableUnauthorizedAccount(address account)",
    "OwnableInvalidOwner(address owner)",
    "AccessControlUnauthorizedAccount(address account, bytes32 neededRole)",
    "AddressEmptyCode(address target)",
    "AddressInsufficientBalance(address account)",
    "FailedCall()",
    "FailedInnerCall()",
    "InsufficientBalance(uint256 balance, uint256 needed)",
    "EnforcedPause()",
    "ExpectedPause()",
    "ReentrancyGuardReentrantCall()",
    "InvalidInitialization()",
    "NotInitializing()",
)


def reason_of(data: bytes) -> str:
    """Say in words why a contract reverted; data that nothing here knows comes back as hex."""
    selector, arguments = data[:4], data[4:]
    if not data:
        return "no reason given"
    try:
        if selector == _ERROR_STRING:
            return _printable(_decode(("string",), arguments)[0]) or "an empty reason"
        if selector == _PANIC:
            code = int.from_bytes(arguments[:32], "big")
            return f"panic 0x{code:02x}: {_PANICS.get(code, 'unknown panic')}"
        if selector in _known_errors():
            return _custom(selector, arguments)
    except ValueError:
        pass  # not what its selector promises: shown as it is
    return _shortened(f"0x{data.hex()}")


def _custom(selector: bytes, arguments: bytes) -> str:
    name, types, names = _known_errors()[selector]
    values = _decode(types, arguments)
    shown = (f"0x{value.hex()}" if isinstance(value, bytes) else _printable(value) for value in values)
    return f"{name}({', '.join(f'{key}={value}' for key, value in zip(names, shown, strict=True))})"


@cache
def _known_errors() -> dict[bytes, tuple[str, tuple[str, ...], tuple[str, ...]]]:
    from eth_utils.crypto import keccak  # noqa: PLC0415 - half a second to import, and seldom needed

    known = {}
    for signature in _SIGNATURES:
        name, _, rest = signature[:-1].partition("(")
        parameters = [tuple(parameter.split(" ")) for parameter in rest.split(", ") if parameter]
        types = tuple(kind for kind, _ in parameters)
        selector = bytes(keccak(text=f"{name}({','.join(types)})")[:4])
        known[selector] = (name, types, tuple(label for _, label in parameters))
    return known


def _decode(types: tuple[str, ...], data: bytes) -> tuple[object, ...]:
    """Decode ABI data; anything wrong with it is a ValueError."""
    from eth_abi.abi import decode  # noqa: PLC0415 - as above
    from eth_abi.exceptions import DecodingError  # noqa: PLC0415

    try:
        return tuple(decode(types, data))
    except (DecodingError, OverflowError) as problem:
        raise ValueError(str(problem)) from problem


def _printable(value: object) -> str:
    """Keep a stranger's text from breaking a log line."""
    return _shortened("".join(letter if letter.isprintable() else "?" for letter in str(value)))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
