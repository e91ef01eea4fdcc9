// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IMessageHandler, IMessageSender, IMintBurnToken, ITokenMinter} from "./Interfaces.sol";
import {Owned} from "./Owned.sol";

/// The sandbox's stand-in for CCTP's TokenMessengerV2: burns here, mints what was burned on the other chain.
///
/// The body of a message is packed, big-endian: version 4 | burn token 32 | mint recipient 32 | amount 32 |
/// message sender 32 | maximal fee 32 | executed fee 32 | expiration block 32 | hook data. The executed fee and
/// the expiration block are zero when the message is sent; the attester fills them in.
contract TokenMessengerV2 is IMessageHandler, Owned {
    event DepositForBurn(
        address indexed burnToken,
        uint256 amount,
        address indexed depositor,
        bytes32 mintRecipient,
        uint32 destinationDomain,
        bytes32 destinationTokenMessenger,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 indexed minFinalityThreshold,
        bytes hookData
    );
    event MintAndWithdraw(
        address indexed mintRecipient,
        uint256 amount,
        address indexed mintToken,
        uint256 feeCollected
    );
    event RemoteTokenMessengerAdded(uint32 domain, bytes32 tokenMessenger);
    event RemoteTokenMessengerRemoved(uint32 domain, bytes32 tokenMessenger);
    event FeeRecipientSet(address feeRecipient);
    event MinFeeSet(uint256 minFee);
    event Denylisted(address indexed account);
    event UnDenylisted(address indexed account);

    uint32 public constant messageBodyVersion = 1;
    // `minFee` is in thousandths of a basis point.
    uint256 public constant MIN_FEE_MULTIPLIER = 10_000_000;
    uint32 private constant MIN_FINALITY = 500;
    uint256 private constant HOOK_DATA = 228;

    struct Burn {
        uint256 amount;
        uint32 destinationDomain;
        bytes32 mintRecipient;
        address burnToken;
        bytes32 destinationCaller;
        uint256 maxFee;
        uint32 minFinalityThreshold;
    }

    address public localMessageTransmitter;
    ITokenMinter public localMinter;
    address public feeRecipient;
    uint256 public minFee;
    mapping(uint32 => bytes32) public remoteTokenMessengers;
    mapping(address => bool) public isDenylisted;

    modifier notDenylistedCallers() {
        require(!isDenylisted[msg.sender], "Denylistable: account is on denylist");
        require(!isDenylisted[tx.origin], "Denylistable: account is on denylist");
        _;
    }

    modifier onlyKnownSender(uint32 domain, bytes32 sender) {
        require(msg.sender == localMessageTransmitter, "Invalid message transmitter");
        require(
            sender != bytes32(0) && remoteTokenMessengers[domain] == sender,
            "Remote TokenMessenger unsupported"
        );
        _;
    }

    function initialize(
        address owner_,
        address messageTransmitter,
        address tokenMinter,
        address feeRecipient_,
        uint32[] calldata remoteDomains,
        bytes32[] calldata remoteMessengers
    ) external initializer(owner_) {
        require(remoteDomains.length == remoteMessengers.length, "Invalid remote domain configuration");
        localMessageTransmitter = messageTransmitter;
        localMinter = ITokenMinter(tokenMinter);
        _setFeeRecipient(feeRecipient_);
        for (uint256 i = 0; i < remoteDomains.length; i++) {
            _addRemoteTokenMessenger(remoteDomains[i], remoteMessengers[i]);
        }
    }

    // Administration

    function addRemoteTokenMessenger(uint32 domain, bytes32 tokenMessenger) external onlyOwner {
        _addRemoteTokenMessenger(domain, tokenMessenger);
    }

    function removeRemoteTokenMessenger(uint32 domain) external onlyOwner {
        bytes32 removed = remoteTokenMessengers[domain];
        require(removed != bytes32(0), "No TokenMessenger set");
        delete remoteTokenMessengers[domain];
        emit RemoteTokenMessengerRemoved(domain, removed);
    }

    function setFeeRecipient(address recipient) external onlyOwner {
        _setFeeRecipient(recipient);
    }

    function setMinFee(uint256 fee) external onlyOwner {
        require(fee < MIN_FEE_MULTIPLIER, "Min fee too high");
        minFee = fee;
        emit MinFeeSet(fee);
    }

    function denylist(address account) external onlyOwner {
        isDenylisted[account] = true;
        emit Denylisted(account);
    }

    function unDenylist(address account) external onlyOwner {
        isDenylisted[account] = false;
        emit UnDenylisted(account);
    }

    // Source

    function getMinFeeAmount(uint256 amount) public view returns (uint256) {
        if (minFee == 0) return 0;
        require(amount > 1, "Amount too low");
        uint256 fee = (amount * minFee) / MIN_FEE_MULTIPLIER;
        return fee == 0 ? 1 : fee;
    }

    function depositForBurn(
        uint256 amount,
        uint32 destinationDomain,
        bytes32 mintRecipient,
        address burnToken,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 minFinalityThreshold
    ) external notDenylistedCallers {
        _depositForBurn(
            Burn(amount, destinationDomain, mintRecipient, burnToken, destinationCaller, maxFee, minFinalityThreshold),
            ""
        );
    }

    function depositForBurnWithHook(
        uint256 amount,
        uint32 destinationDomain,
        bytes32 mintRecipient,
        address burnToken,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 minFinalityThreshold,
        bytes calldata hookData
    ) external notDenylistedCallers {
        require(hookData.length > 0, "Hook data is empty");
        _depositForBurn(
            Burn(amount, destinationDomain, mintRecipient, burnToken, destinationCaller, maxFee, minFinalityThreshold),
            hookData
        );
    }

    function _depositForBurn(Burn memory burn, bytes memory hookData) private {
        require(burn.amount > 0, "Amount must be nonzero");
        require(burn.mintRecipient != bytes32(0), "Mint recipient must be nonzero");
        require(burn.maxFee < burn.amount, "Max fee must be less than amount");
        require(burn.maxFee >= getMinFeeAmount(burn.amount), "Insufficient max fee");
        bytes32 remote = remoteTokenMessengers[burn.destinationDomain];
        require(remote != bytes32(0), "No TokenMessenger for domain");

        require(
            IMintBurnToken(burn.burnToken).transferFrom(msg.sender, address(localMinter), burn.amount),
            "Transfer operation failed"
        );
        localMinter.burn(burn.burnToken, burn.amount);

        IMessageSender(localMessageTransmitter).sendMessage(
            burn.destinationDomain,
            remote,
            burn.destinationCaller,
            burn.minFinalityThreshold,
            abi.encodePacked(
                messageBodyVersion,
                bytes32(uint256(uint160(burn.burnToken))),
                burn.mintRecipient,
                burn.amount,
                bytes32(uint256(uint160(msg.sender))),
                burn.maxFee,
                uint256(0),
                uint256(0),
                hookData
            )
        );
        emit DepositForBurn(
            burn.burnToken,
            burn.amount,
            msg.sender,
            burn.mintRecipient,
            burn.destinationDomain,
            remote,
            burn.destinationCaller,
            burn.maxFee,
            burn.minFinalityThreshold,
            hookData
        );
    }

    // Destination

    function handleReceiveFinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32,
        bytes calldata messageBody
    ) external onlyKnownSender(sourceDomain, sender) returns (bool) {
        return _receive(sourceDomain, messageBody);
    }

    function handleReceiveUnfinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external onlyKnownSender(sourceDomain, sender) returns (bool) {
        require(finalityThresholdExecuted >= MIN_FINALITY, "Unsupported finality threshold");
        return _receive(sourceDomain, messageBody);
    }

    function _receive(uint32 sourceDomain, bytes calldata body) private returns (bool) {
        require(body.length >= HOOK_DATA, "Invalid message: too short");
        require(uint32(bytes4(body[0:4])) == messageBodyVersion, "Invalid message body version");
        uint256 expirationBlock = uint256(bytes32(body[196:228]));
        require(expirationBlock == 0 || expirationBlock > block.number, "Message expired and must be re-signed");
        uint256 amount = uint256(bytes32(body[68:100]));
        uint256 fee = uint256(bytes32(body[164:196]));
        require(fee == 0 || fee < amount, "Fee equals or exceeds amount");
        require(fee <= uint256(bytes32(body[132:164])), "Fee exceeds max fee");

        bytes32 burnToken = bytes32(body[4:36]);
        address recipient = address(uint160(uint256(bytes32(body[36:68]))));
        address mintToken = fee > 0
            ? localMinter.mint(sourceDomain, burnToken, recipient, feeRecipient, amount - fee, fee)
            : localMinter.mint(sourceDomain, burnToken, recipient, amount);
        emit MintAndWithdraw(recipient, amount - fee, mintToken, fee);
        return true;
    }

    function _addRemoteTokenMessenger(uint32 domain, bytes32 tokenMessenger) private {
        require(tokenMessenger != bytes32(0), "bytes32(0) not allowed");
        require(remoteTokenMessengers[domain] == bytes32(0), "TokenMessenger already set");
        remoteTokenMessengers[domain] = tokenMessenger;
        emit RemoteTokenMessengerAdded(domain, tokenMessenger);
    }

    function _setFeeRecipient(address recipient) private {
        require(recipient != address(0), "Zero address not allowed");
        feeRecipient = recipient;
        emit FeeRecipientSet(recipient);
    }
}
