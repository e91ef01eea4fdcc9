// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// One owner and one initialisation. The contracts of the sandbox are written straight to the addresses that
/// are published for mainnet, so no constructor has ever run there: `initialize` takes its place.
abstract contract Owned {
    address public owner;

    modifier onlyOwner() {
        require(msg.sender == owner, "Ownable: caller is not the owner");
        _;
    }

    modifier initializer(address owner_) {
        require(owner == address(0), "Initializable: contract is already initialized");
        require(owner_ != address(0), "Owner is the zero address");
        owner = owner_;
        _;
    }
}

/// A switch by which the owner stops everything.
abstract contract Pausable is Owned {
    event Pause();
    event Unpause();

    bool public paused;

    modifier whenNotPaused() {
        require(!paused, "Pausable: paused");
        _;
    }

    function pause() external onlyOwner {
        paused = true;
        emit Pause();
    }

    function unpause() external onlyOwner {
        paused = false;
        emit Unpause();
    }
}
