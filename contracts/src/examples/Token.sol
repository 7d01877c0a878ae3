// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title A plain ERC-20 token: what the benchmark of transfers runs.
contract Token {
    /// @notice Name to show.
    string public constant name = "Example";
    /// @notice Symbol to show.
    string public constant symbol = "EXM";
    /// @notice Digits behind the point.
    uint8 public constant decimals = 18;

    /// @notice All units there are.
    uint256 public totalSupply;
    /// @notice Units by holder.
    mapping(address holder => uint256) public balanceOf;
    /// @notice Units that a spender may still move for a holder.
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    /// @notice Units moved.
    event Transfer(address indexed from, address indexed to, uint256 value);
    /// @notice An allowance was set.
    event Approval(address indexed owner, address indexed spender, uint256 value);

    /// @notice The holder has fewer units than are asked for.
    error InsufficientBalance(address holder, uint256 available, uint256 needed);
    /// @notice The spender may move fewer units than it asks for.
    error InsufficientAllowance(address spender, uint256 available, uint256 needed);

    /// @param supply Units that the deployer gets.
    constructor(uint256 supply) {
        totalSupply = supply;
        balanceOf[msg.sender] = supply;
        emit Transfer(address(0), msg.sender, supply);
    }

    /// @notice Moves units of the caller.
    /// @param to Who gets them.
    /// @param value How many.
    /// @return Always true.
    function transfer(address to, uint256 value) external returns (bool) {
        _move(msg.sender, to, value);
        return true;
    }

    /// @notice Lets a spender move units of the caller.
    /// @param spender Who may.
    /// @param value How many.
    /// @return Always true.
    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    /// @notice Moves units of another holder, within the caller's allowance.
    /// @param from Whose units.
    /// @param to Who gets them.
    /// @param value How many.
    /// @return Always true.
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < value) revert InsufficientAllowance(msg.sender, allowed, value);
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
        _move(from, to, value);
        return true;
    }

    function _move(address from, address to, uint256 value) private {
        uint256 available = balanceOf[from];
        if (available < value) revert InsufficientBalance(from, available, value);
        unchecked {
            balanceOf[from] = available - value;
            balanceOf[to] += value;
        }
        emit Transfer(from, to, value);
    }
}
