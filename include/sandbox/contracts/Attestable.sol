// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Owned} from "./Owned.sol";

/// Keeps the list of attesters, and tells whether enough of them signed a message.
abstract contract Attestable is Owned {
    event AttesterEnabled(address indexed attester);
    event AttesterDisabled(address indexed attester);
    event SignatureThresholdUpdated(uint256 oldSignatureThreshold, uint256 newSignatureThreshold);

    uint256 private constant SIGNATURE_LENGTH = 65;
    // Half the order of secp256k1. A signature with a larger `s` has a twin, and is refused.
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    uint256 public signatureThreshold;
    address[] private _attesters;

    function enableAttester(address attester) external onlyOwner {
        _enableAttester(attester);
    }

    function disableAttester(address attester) external onlyOwner {
        uint256 count = _attesters.length;
        require(count > 1, "Too few enabled attesters");
        require(count > signatureThreshold, "Signature threshold is too low");
        for (uint256 i = 0; i < count; i++) {
            if (_attesters[i] == attester) {
                _attesters[i] = _attesters[count - 1];
                _attesters.pop();
                emit AttesterDisabled(attester);
                return;
            }
        }
        revert("Attester already disabled");
    }

    function setSignatureThreshold(uint256 threshold) external onlyOwner {
        require(threshold != signatureThreshold, "Signature threshold already set");
        _setSignatureThreshold(threshold);
    }

    function isEnabledAttester(address attester) public view returns (bool) {
        for (uint256 i = 0; i < _attesters.length; i++) {
            if (_attesters[i] == attester) return true;
        }
        return false;
    }

    function getNumEnabledAttesters() external view returns (uint256) {
        return _attesters.length;
    }

    function getEnabledAttester(uint256 index) external view returns (address) {
        return _attesters[index];
    }

    function _enableAttester(address attester) internal {
        require(attester != address(0), "New attester must be nonzero");
        require(!isEnabledAttester(attester), "Attester already enabled");
        _attesters.push(attester);
        emit AttesterEnabled(attester);
    }

    function _setSignatureThreshold(uint256 threshold) internal {
        require(threshold != 0, "Invalid signature threshold");
        require(threshold <= _attesters.length, "New signature threshold too high");
        emit SignatureThresholdUpdated(signatureThreshold, threshold);
        signatureThreshold = threshold;
    }

    /// Reverts unless `attestation` is exactly `signatureThreshold` signatures of the message's hash, by
    /// attesters in ascending order of address. The hash is signed as it is, without a prefix.
    function _verifyAttestation(bytes calldata message, bytes calldata attestation) internal view {
        require(attestation.length == SIGNATURE_LENGTH * signatureThreshold, "Invalid attestation length");
        bytes32 digest = keccak256(message);
        address previous = address(0);
        for (uint256 i = 0; i < signatureThreshold; i++) {
            address signer = _recover(digest, attestation[i * SIGNATURE_LENGTH:(i + 1) * SIGNATURE_LENGTH]);
            require(signer > previous, "Invalid signature order or dupe");
            require(isEnabledAttester(signer), "Invalid signature: not attester");
            previous = signer;
        }
    }

    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address signer) {
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        uint8 v = uint8(signature[64]);
        require(uint256(s) <= HALF_ORDER, "ECDSA: invalid signature 's' value");
        require(v == 27 || v == 28, "ECDSA: invalid signature 'v' value");
        signer = ecrecover(digest, v, r, s);
        require(signer != address(0), "ECDSA: invalid signature");
    }
}
