// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// A price feed as Chainlink's AggregatorV3 answers, whose price its owner sets.
contract Aggregator {
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    uint8 public constant decimals = 8;
    uint256 public constant version = 4;

    address public immutable owner;
    string public description;
    uint80 private _round;
    int256 private _answer;
    uint256 private _updatedAt;

    constructor(address owner_, string memory description_, int256 answer) {
        owner = owner_;
        description = description_;
        _set(answer, block.timestamp);
    }

    /// `updatedAt` is in seconds since 1970; a price may be set as an old one, or none.
    function setAnswer(int256 answer, uint256 updatedAt) external {
        require(msg.sender == owner, "Aggregator: caller is not the owner");
        _set(answer, updatedAt);
    }

    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return (_round, _answer, _updatedAt, _updatedAt, _round);
    }

    function _set(int256 answer, uint256 updatedAt) private {
        _round++;
        _answer = answer;
        _updatedAt = updatedAt;
        emit AnswerUpdated(answer, _round, updatedAt);
    }
}
