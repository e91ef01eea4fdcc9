// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IToken} from "./Interfaces.sol";

struct EvaluableV4 {
    address interpreter;
    address store;
    bytes bytecode;
}

struct SignedContextV1 {
    address signer;
    bytes32[] context;
    bytes signature;
}

struct TaskV2 {
    EvaluableV4 evaluable;
    SignedContextV1[] signedContext;
}

/// The sandbox's stand-in for Rain's OrderBook: the vaults of V5 and V6, without orders.
///
/// An amount is a decimal float in 32 bytes: a signed exponent in the top 4, a signed coefficient in the low 28, in
/// whole tokens. Vaults are kept in base units here; what is asked for and what is answered may be the same value
/// in different bytes, as with the real contract.
///
/// In place of orders, `trader` moves what is in a vault against its own tokens.
contract OrderBook {
    event DepositV2(address sender, address token, bytes32 vaultId, uint256 depositAmountUint256);
    event WithdrawV2(
        address sender,
        address token,
        bytes32 vaultId,
        bytes32 targetAmount,
        bytes32 withdrawAmount,
        uint256 withdrawAmountUint256
    );
    /// Only in the sandbox: a trade moved `amount` base units into a vault, or out of it.
    event VaultTraded(address indexed owner, address indexed token, bytes32 indexed vaultId, bool into, uint256 amount);

    error ZeroDepositAmount(address sender, address token, bytes32 vaultId);
    error ZeroWithdrawTargetAmount(address sender, address token, bytes32 vaultId);
    error ZeroVaultId(address sender, address token);
    error TokenDecimalsChanged(address token, uint8 known, uint8 found);
    error NotAnAmount(bytes32 amount);

    // One more than the decimals of a token, once they are known: the first answer is believed, another refused.
    mapping(address => uint256) private _knownDecimals;
    mapping(address => mapping(address => mapping(bytes32 => uint256))) private _vaults;
    address public immutable trader;

    modifier onlyTrader() {
        require(msg.sender == trader, "OrderBook: caller is not the sandbox's trader");
        _;
    }

    constructor(address trader_) {
        trader = trader_;
    }

    // The real interface

    function deposit4(address token, bytes32 vaultId, bytes32 depositAmount, TaskV2[] calldata post) external {
        _deposit(token, vaultId, depositAmount, post.length);
    }

    function deposit3(address token, bytes32 vaultId, bytes32 depositAmount, TaskV2[] calldata post) external {
        _deposit(token, vaultId, depositAmount, post.length);
    }

    function withdraw4(address token, bytes32 vaultId, bytes32 targetAmount, TaskV2[] calldata post) external {
        _withdraw(token, vaultId, targetAmount, post.length);
    }

    function withdraw3(address token, bytes32 vaultId, bytes32 targetAmount, TaskV2[] calldata post) external {
        _withdraw(token, vaultId, targetAmount, post.length);
    }

    function vaultBalance2(address owner, address token, bytes32 vaultId) external view returns (bytes32) {
        return _toFloat(_vaults[owner][token][vaultId], IToken(token).decimals());
    }

    /// Only in the sandbox: what a vault holds, in base units.
    function vaultUnits(address owner, address token, bytes32 vaultId) external view returns (uint256) {
        return _vaults[owner][token][vaultId];
    }

    // What active orders do

    /// Takes tokens out of a vault to the trader.
    function take(address owner, address token, bytes32 vaultId, uint256 amount) external onlyTrader {
        _decrease(owner, token, vaultId, amount);
        _push(token, amount);
        emit VaultTraded(owner, token, vaultId, false, amount);
    }

    /// Puts tokens of the trader into a vault.
    function fill(address owner, address token, bytes32 vaultId, uint256 amount) external onlyTrader {
        _pull(token, amount);
        _vaults[owner][token][vaultId] += amount;
        emit VaultTraded(owner, token, vaultId, true, amount);
    }

    /// Puts tokens of the trader into a vault as if they had always been there.
    function seed(address owner, address token, bytes32 vaultId, uint256 amount) external onlyTrader {
        _pull(token, amount);
        _vaults[owner][token][vaultId] += amount;
    }

    // How

    function _deposit(address token, bytes32 vaultId, bytes32 depositAmount, uint256 tasks) private {
        _check(token, vaultId, tasks);
        (uint256 amount, bool exact) = _fromFloat(depositAmount, _decimals(token));
        if (amount == 0 && exact) revert ZeroDepositAmount(msg.sender, token, vaultId);
        // The real contract would take one base unit more; whoever sends such an amount has miscounted
        if (!exact) revert NotAnAmount(depositAmount);
        _pull(token, amount);
        emit DepositV2(msg.sender, token, vaultId, amount);
        _vaults[msg.sender][token][vaultId] += amount;
    }

    function _withdraw(address token, bytes32 vaultId, bytes32 targetAmount, uint256 tasks) private {
        _check(token, vaultId, tasks);
        uint8 decimals = _decimals(token);
        (uint256 target, bool exact) = _fromFloat(targetAmount, decimals);
        if (target == 0 && exact) revert ZeroWithdrawTargetAmount(msg.sender, token, vaultId);
        uint256 held = _vaults[msg.sender][token][vaultId];
        uint256 amount = target < held ? target : held;
        _decrease(msg.sender, token, vaultId, amount);
        if (amount > 0) _push(token, amount);
        emit WithdrawV2(msg.sender, token, vaultId, targetAmount, _toFloat(amount, decimals), amount);
    }

    function _check(address token, bytes32 vaultId, uint256 tasks) private view {
        if (vaultId == bytes32(0)) revert ZeroVaultId(msg.sender, token);
        require(tasks == 0, "OrderBook: the sandbox runs no tasks");
    }

    function _decrease(address owner, address token, bytes32 vaultId, uint256 amount) private {
        uint256 held = _vaults[owner][token][vaultId];
        require(amount <= held, "OrderBook: the vault holds less");
        _vaults[owner][token][vaultId] = held - amount;
    }

    function _pull(address token, uint256 amount) private {
        require(IToken(token).transferFrom(msg.sender, address(this), amount), "OrderBook: transferFrom failed");
    }

    function _push(address token, uint256 amount) private {
        require(IToken(token).transfer(msg.sender, amount), "OrderBook: transfer failed");
    }

    function _decimals(address token) private returns (uint8 found) {
        found = IToken(token).decimals();
        uint256 known = _knownDecimals[token];
        if (known == 0) _knownDecimals[token] = uint256(found) + 1;
        else if (known != uint256(found) + 1) revert TokenDecimalsChanged(token, uint8(known - 1), found);
    }

    // Floats

    function _toFloat(uint256 units, uint8 decimals) private pure returns (bytes32) {
        if (units == 0) return bytes32(0);
        int256 exponent = -int256(uint256(decimals));
        // The coefficient keeps its trailing zeros, unless it would not fit with them
        while (units > uint256(uint224(type(int224).max)) && units % 10 == 0) {
            units /= 10;
            exponent++;
        }
        require(units <= uint256(uint224(type(int224).max)), "OrderBook: too many digits");
        return bytes32((uint256(uint32(int32(exponent))) << 224) | units);
    }

    function _fromFloat(bytes32 amount, uint8 decimals) private pure returns (uint256 units, bool exact) {
        int256 coefficient = int256(int224(uint224(uint256(amount))));
        if (coefficient < 0) revert NotAnAmount(amount);
        if (coefficient == 0) return (0, true);
        int256 shift = int256(int32(uint32(uint256(amount) >> 224))) + int256(uint256(decimals));
        units = uint256(coefficient);
        // 10^77 is the largest power of ten in a uint256
        if (shift > 77) revert NotAnAmount(amount);
        if (shift >= 0) return (units * 10 ** uint256(shift), true);
        if (shift < -77) return (0, false);
        uint256 divisor = 10 ** uint256(-shift);
        return (units / divisor, units % divisor == 0);
    }
}
