// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title A contract for tests: does what it is told, and calls back when it is paid.
contract Puppet {
    /// @notice Whom to call and with what.
    struct Call {
        address target;
        bytes data;
    }

    /// @notice What to do when coins arrive.
    Call public reaction;
    /// @notice Whether to refuse coins when the reaction fails.
    bool public insists;
    /// @notice How often coins arrived.
    uint256 public payments;

    receive() external payable {
        payments += 1;
        if (reaction.target == address(0)) return;
        (bool done,) = reaction.target.call(reaction.data);
        require(done || !insists);
    }

    /// @notice Makes calls one after the other, all or none; reverts as the first that fails.
    /// @param calls The calls.
    function perform(Call[] calldata calls) external payable {
        for (uint256 index = 0; index < calls.length; index++) {
            (bool done, bytes memory reason) = calls[index].target.call(calls[index].data);
            if (done) continue;
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }

    /// @notice Sets what happens when coins arrive.
    /// @param next The call to make; the zero address for none.
    /// @param insists_ Whether to refuse the coins when that call fails.
    function react(Call calldata next, bool insists_) external {
        reaction = next;
        insists = insists_;
    }
}
