// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Attestable} from "./Attestable.sol";
import {IMessageHandler, IMessageSender} from "./Interfaces.sol";
import {Pausable} from "./Owned.sol";

/// The sandbox's stand-in for CCTP's MessageTransmitterV2: the same calls, events, bytes, checks and errors.
///
/// A message is packed, big-endian: version 4 | source domain 4 | destination domain 4 | nonce 32 | sender 32 |
/// recipient 32 | destination caller 32 | minimal finality 4 | executed finality 4 | body. The nonce and the
/// executed finality are zero when the message is sent; the attester fills them in and signs the result.
contract MessageTransmitterV2 is IMessageSender, Attestable, Pausable {
    event MessageSent(bytes message);
    event MessageReceived(
        address indexed caller,
        uint32 sourceDomain,
        bytes32 indexed nonce,
        bytes32 sender,
        uint32 indexed finalityThresholdExecuted,
        bytes messageBody
    );
    event MaxMessageBodySizeUpdated(uint256 newMaxMessageBodySize);

    uint32 public constant version = 1;
    uint32 private constant FINALIZED = 2000;
    uint256 private constant BODY = 148;

    uint32 public localDomain;
    uint256 public maxMessageBodySize;
    // 0: unused, 1: used
    mapping(bytes32 => uint256) public usedNonces;

    function initialize(
        address owner_,
        uint32 localDomain_,
        address[] calldata attesters,
        uint256 threshold,
        uint256 maxMessageBodySize_
    ) external initializer(owner_) {
        localDomain = localDomain_;
        maxMessageBodySize = maxMessageBodySize_;
        for (uint256 i = 0; i < attesters.length; i++) _enableAttester(attesters[i]);
        _setSignatureThreshold(threshold);
        // A message as it is sent has no nonce yet. It must never be taken for an attested one.
        usedNonces[bytes32(0)] = 1;
    }

    function setMaxMessageBodySize(uint256 size) external onlyOwner {
        maxMessageBodySize = size;
        emit MaxMessageBodySizeUpdated(size);
    }

    function sendMessage(
        uint32 destinationDomain,
        bytes32 recipient,
        bytes32 destinationCaller,
        uint32 minFinalityThreshold,
        bytes calldata messageBody
    ) external whenNotPaused {
        require(destinationDomain != localDomain, "Domain is local domain");
        require(messageBody.length <= maxMessageBodySize, "Message body exceeds max size");
        require(recipient != bytes32(0), "Recipient must be nonzero");
        emit MessageSent(
            abi.encodePacked(
                version,
                localDomain,
                destinationDomain,
                bytes32(0),
                bytes32(uint256(uint160(msg.sender))),
                recipient,
                destinationCaller,
                minFinalityThreshold,
                uint32(0),
                messageBody
            )
        );
    }

    function receiveMessage(bytes calldata message, bytes calldata attestation) external whenNotPaused returns (bool) {
        _verifyAttestation(message, attestation);
        require(message.length >= BODY, "Invalid message: too short");
        require(_uint32At(message, 8) == localDomain, "Invalid destination domain");
        bytes32 caller = bytes32(message[108:140]);
        if (caller != bytes32(0)) {
            require(caller == bytes32(uint256(uint160(msg.sender))), "Invalid caller for message");
        }
        require(_uint32At(message, 0) == version, "Invalid message version");
        bytes32 nonce = bytes32(message[12:44]);
        require(usedNonces[nonce] == 0, "Nonce already used");

        usedNonces[nonce] = 1;
        _deliver(message);
        emit MessageReceived(
            msg.sender,
            _uint32At(message, 4),
            nonce,
            bytes32(message[44:76]),
            _uint32At(message, 144),
            message[BODY:]
        );
        return true;
    }

    function _deliver(bytes calldata message) private {
        IMessageHandler handler = IMessageHandler(address(uint160(uint256(bytes32(message[76:108])))));
        uint32 source = _uint32At(message, 4);
        bytes32 sender = bytes32(message[44:76]);
        uint32 finality = _uint32At(message, 144);
        if (finality < FINALIZED) {
            require(
                handler.handleReceiveUnfinalizedMessage(source, sender, finality, message[BODY:]),
                "handleReceiveUnfinalizedMessage() failed"
            );
        } else {
            require(
                handler.handleReceiveFinalizedMessage(source, sender, finality, message[BODY:]),
                "handleReceiveFinalizedMessage() failed"
            );
        }
    }

    function _uint32At(bytes calldata message, uint256 offset) private pure returns (uint32) {
        return uint32(bytes4(message[offset:offset + 4]));
    }
}
