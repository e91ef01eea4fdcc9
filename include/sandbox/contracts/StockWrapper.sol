// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IToken} from "./Interfaces.sol";

/// An ERC-4626 vault over a stock token: `wtAAPL` over `AAPL`. A share stands for a part of all tokens inside, so that
/// tokens which come in without a deposit, as dividends do, make every share worth more.
contract StockWrapper {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares);
    event Withdraw(
        address indexed sender,
        address indexed receiver,
        address indexed owner,
        uint256 assets,
        uint256 shares
    );

    error ERC4626ExceededMaxDeposit(address receiver, uint256 assets, uint256 max);
    error ERC4626ExceededMaxMint(address receiver, uint256 shares, uint256 max);
    error ERC4626ExceededMaxWithdraw(address owner, uint256 assets, uint256 max);
    error ERC4626ExceededMaxRedeem(address owner, uint256 shares, uint256 max);

    uint8 public constant decimals = 18;

    address public immutable asset;
    address public immutable issuer;
    string public name;
    string public symbol;
    uint256 public totalSupply;
    /// The most shares that anybody may redeem at once; the issuer sets it.
    uint256 public redeemLimit = type(uint256).max;
    /// The most tokens that anybody may put in at once; the issuer sets it.
    uint256 public depositLimit = type(uint256).max;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(address asset_, string memory name_, string memory symbol_, address issuer_) {
        asset = asset_;
        name = name_;
        symbol = symbol_;
        issuer = issuer_;
    }

    function setRedeemLimit(uint256 shares) external {
        require(msg.sender == issuer, "StockWrapper: caller is not the issuer");
        redeemLimit = shares;
    }

    function setDepositLimit(uint256 assets) external {
        require(msg.sender == issuer, "StockWrapper: caller is not the issuer");
        depositLimit = assets;
    }

    // What shares are worth

    function totalAssets() public view returns (uint256) {
        return IToken(asset).balanceOf(address(this));
    }

    function convertToShares(uint256 assets) public view returns (uint256) {
        return _toShares(assets, false);
    }

    function convertToAssets(uint256 shares) public view returns (uint256) {
        return _toAssets(shares, false);
    }

    function previewDeposit(uint256 assets) public view returns (uint256) {
        return _toShares(assets, false);
    }

    function previewMint(uint256 shares) public view returns (uint256) {
        return _toAssets(shares, true);
    }

    function previewWithdraw(uint256 assets) public view returns (uint256) {
        return _toShares(assets, true);
    }

    function previewRedeem(uint256 shares) public view returns (uint256) {
        return _toAssets(shares, false);
    }

    function maxDeposit(address) public view returns (uint256) {
        return depositLimit;
    }

    function maxMint(address) public view returns (uint256) {
        return depositLimit == type(uint256).max ? depositLimit : _toShares(depositLimit, false);
    }

    function maxRedeem(address owner) public view returns (uint256) {
        return balanceOf[owner] < redeemLimit ? balanceOf[owner] : redeemLimit;
    }

    function maxWithdraw(address owner) public view returns (uint256) {
        return _toAssets(maxRedeem(owner), false);
    }

    // In and out

    function deposit(uint256 assets, address receiver) external returns (uint256 shares) {
        if (assets > depositLimit) revert ERC4626ExceededMaxDeposit(receiver, assets, depositLimit);
        shares = previewDeposit(assets);
        _wrap(assets, shares, receiver);
    }

    function mint(uint256 shares, address receiver) external returns (uint256 assets) {
        if (shares > maxMint(receiver)) revert ERC4626ExceededMaxMint(receiver, shares, maxMint(receiver));
        assets = previewMint(shares);
        _wrap(assets, shares, receiver);
    }

    function withdraw(uint256 assets, address receiver, address owner) external returns (uint256 shares) {
        uint256 most = maxWithdraw(owner);
        if (assets > most) revert ERC4626ExceededMaxWithdraw(owner, assets, most);
        shares = previewWithdraw(assets);
        _unwrap(assets, shares, receiver, owner);
    }

    function redeem(uint256 shares, address receiver, address owner) external returns (uint256 assets) {
        uint256 most = maxRedeem(owner);
        if (shares > most) revert ERC4626ExceededMaxRedeem(owner, shares, most);
        assets = previewRedeem(shares);
        _unwrap(assets, shares, receiver, owner);
    }

    function _wrap(uint256 assets, uint256 shares, address receiver) private {
        require(IToken(asset).transferFrom(msg.sender, address(this), assets), "StockWrapper: transferFrom failed");
        require(receiver != address(0), "StockWrapper: mint to the zero address");
        totalSupply += shares;
        balanceOf[receiver] += shares;
        emit Transfer(address(0), receiver, shares);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    function _unwrap(uint256 assets, uint256 shares, address receiver, address owner) private {
        if (msg.sender != owner) _spend(owner, shares);
        require(balanceOf[owner] >= shares, "StockWrapper: burn amount exceeds balance");
        balanceOf[owner] -= shares;
        totalSupply -= shares;
        emit Transfer(owner, address(0), shares);
        require(IToken(asset).transfer(receiver, assets), "StockWrapper: transfer failed");
        emit Withdraw(msg.sender, receiver, owner, assets, shares);
    }

    // One share and one token that are nobody's stand in the ratio, so that it exists when the vault is empty

    function _toShares(uint256 assets, bool up) private view returns (uint256) {
        return _part(assets, totalSupply + 1, totalAssets() + 1, up);
    }

    function _toAssets(uint256 shares, bool up) private view returns (uint256) {
        return _part(shares, totalAssets() + 1, totalSupply + 1, up);
    }

    function _part(uint256 amount, uint256 multiplier, uint256 divisor, bool up) private pure returns (uint256) {
        uint256 product = amount * multiplier;
        return up && product % divisor != 0 ? product / divisor + 1 : product / divisor;
    }

    // The shares as an ERC-20

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _transfer(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _spend(from, amount);
        _transfer(from, to, amount);
        return true;
    }

    function _spend(address owner, uint256 amount) private {
        uint256 allowed = allowance[owner][msg.sender];
        require(allowed >= amount, "StockWrapper: amount exceeds allowance");
        if (allowed != type(uint256).max) allowance[owner][msg.sender] = allowed - amount;
    }

    function _transfer(address from, address to, uint256 amount) private {
        require(to != address(0), "StockWrapper: transfer to the zero address");
        require(balanceOf[from] >= amount, "StockWrapper: transfer amount exceeds balance");
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}
