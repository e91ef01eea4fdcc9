// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// What a vault or a wrapper asks of the token that it holds.
interface IToken {
    function decimals() external view returns (uint8);

    function balanceOf(address owner) external view returns (uint256);

    function transfer(address to, uint256 amount) external returns (bool);

    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// What CCTP asks of a token that it burns and mints.
interface IMintBurnToken {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);

    function mint(address to, uint256 amount) external returns (bool);

    function burn(uint256 amount) external;
}

interface IMessageSender {
    function sendMessage(
        uint32 destinationDomain,
        bytes32 recipient,
        bytes32 destinationCaller,
        uint32 minFinalityThreshold,
        bytes calldata messageBody
    ) external;
}

interface IMessageHandler {
    function handleReceiveFinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external returns (bool);

    function handleReceiveUnfinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external returns (bool);
}

interface ITokenMinter {
    function burn(address burnToken, uint256 amount) external;

    function mint(uint32 sourceDomain, bytes32 burnToken, address to, uint256 amount) external returns (address);

    function mint(
        uint32 sourceDomain,
        bytes32 burnToken,
        address recipientOne,
        address recipientTwo,
        uint256 amountOne,
        uint256 amountTwo
    ) external returns (address);
}
