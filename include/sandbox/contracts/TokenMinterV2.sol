// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IMintBurnToken, ITokenMinter} from "./Interfaces.sol";
import {Pausable} from "./Owned.sol";

/// The sandbox's stand-in for CCTP's TokenMinterV2: the only one that may burn and mint, within limits, and it
/// obeys only its TokenMessengerV2.
contract TokenMinterV2 is ITokenMinter, Pausable {
    event TokenPairLinked(address localToken, uint32 remoteDomain, bytes32 remoteToken);
    event TokenPairUnlinked(address localToken, uint32 remoteDomain, bytes32 remoteToken);
    event SetBurnLimitPerMessage(address indexed token, uint256 burnLimitPerMessage);

    address public localTokenMessenger;
    mapping(address => uint256) public burnLimitsPerMessage;
    mapping(uint32 => mapping(bytes32 => address)) private _localTokens;

    modifier onlyLocalTokenMessenger() {
        require(msg.sender == localTokenMessenger, "Caller not local TokenMessenger");
        _;
    }

    function initialize(address owner_, address tokenMessenger) external initializer(owner_) {
        localTokenMessenger = tokenMessenger;
    }

    // Administration

    function linkTokenPair(address localToken, uint32 remoteDomain, bytes32 remoteToken) external onlyOwner {
        require(_localTokens[remoteDomain][remoteToken] == address(0), "Unable to link token pair");
        _localTokens[remoteDomain][remoteToken] = localToken;
        emit TokenPairLinked(localToken, remoteDomain, remoteToken);
    }

    function unlinkTokenPair(address localToken, uint32 remoteDomain, bytes32 remoteToken) external onlyOwner {
        require(_localTokens[remoteDomain][remoteToken] != address(0), "Unable to unlink token pair");
        delete _localTokens[remoteDomain][remoteToken];
        emit TokenPairUnlinked(localToken, remoteDomain, remoteToken);
    }

    function setMaxBurnAmountPerMessage(address localToken, uint256 limit) external onlyOwner {
        burnLimitsPerMessage[localToken] = limit;
        emit SetBurnLimitPerMessage(localToken, limit);
    }

    function getLocalToken(uint32 remoteDomain, bytes32 remoteToken) external view returns (address) {
        return _localTokens[remoteDomain][remoteToken];
    }

    // Burning and minting

    function burn(address burnToken, uint256 amount) external whenNotPaused onlyLocalTokenMessenger {
        uint256 limit = burnLimitsPerMessage[burnToken];
        require(limit > 0, "Burn token not supported");
        require(amount <= limit, "Burn amount exceeds per tx limit");
        IMintBurnToken(burnToken).burn(amount);
    }

    function mint(
        uint32 sourceDomain,
        bytes32 burnToken,
        address to,
        uint256 amount
    ) external whenNotPaused onlyLocalTokenMessenger returns (address mintToken) {
        mintToken = _mintToken(sourceDomain, burnToken);
        require(IMintBurnToken(mintToken).mint(to, amount), "Mint operation failed");
    }

    function mint(
        uint32 sourceDomain,
        bytes32 burnToken,
        address recipientOne,
        address recipientTwo,
        uint256 amountOne,
        uint256 amountTwo
    ) external whenNotPaused onlyLocalTokenMessenger returns (address mintToken) {
        mintToken = _mintToken(sourceDomain, burnToken);
        require(IMintBurnToken(mintToken).mint(recipientOne, amountOne), "First mint operation failed");
        require(IMintBurnToken(mintToken).mint(recipientTwo, amountTwo), "Second mint operation failed");
    }

    function _mintToken(uint32 sourceDomain, bytes32 burnToken) private view returns (address mintToken) {
        mintToken = _localTokens[sourceDomain][burnToken];
        require(mintToken != address(0), "Mint token not supported");
    }
}
