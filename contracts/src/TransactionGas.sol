// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Gas that a transaction takes, counted from inside it.
/// @notice `gasleft` does not see what was charged before the contract's first instruction (the transaction itself and its
/// calldata) nor what comes after the measurement. Both are added here.
library TransactionGas {
    /// @dev Gas of every transaction, of a zero byte and of another byte of calldata (EIP-2028).
    uint256 private constant TRANSACTION = 21_000;
    uint256 private constant ZERO_BYTE = 4;
    uint256 private constant OTHER_BYTE = 16;
    /// @dev Lowest price of a zero byte and of another byte of calldata (EIP-7623).
    uint256 private constant ZERO_BYTE_FLOOR = 10;
    uint256 private constant OTHER_BYTE_FLOOR = 40;
    /// @dev Measured: dispatch before the first `gasleft`, and what Settlement does after this library returned, without
    /// outputs and for each output. A test compares the sum with the gas of real transactions.
    uint256 private constant UNSEEN = 8_120;
    uint256 private constant UNSEEN_PER_OUTPUT = 200;
    /// @dev Copying a word of memory and touching a new one (Yellow Paper, appendix G).
    uint256 private constant COPIED_WORD = 3;
    uint256 private constant MEMORY_WORD = 3;
    uint256 private constant MEMORY_SQUARE_DIVISOR = 512;

    /// @notice Gas of this transaction, as its receipt will show it.
    /// @param gasAtStart `gasleft` at the start of the contract's function.
    /// @param first Whether this call pays for the transaction itself; a second call in it does not.
    /// @param outputs How many byte strings the call will return.
    /// @param outputWords Words that they fill.
    /// @return gas Units of gas.
    function used(uint256 gasAtStart, bool first, uint256 outputs, uint256 outputWords)
        internal
        view
        returns (uint256 gas)
    {
        uint256 zeros = zeroBytesOfCalldata();
        uint256 others = msg.data.length - zeros;
        uint256 base = first ? TRANSACTION : 0;
        uint256 floor = base + zeros * ZERO_BYTE_FLOOR + others * OTHER_BYTE_FLOOR;
        gas = base + zeros * ZERO_BYTE + others * OTHER_BYTE + UNSEEN + outputs * UNSEEN_PER_OUTPUT;
        gas += returning(outputWords + 2 * outputs + 2) + gasAtStart - gasleft();
        if (gas < floor) gas = floor;
    }

    /// @notice Gas for encoding return data behind all memory in use.
    /// @param words Words of return data.
    /// @return Units of gas.
    function returning(uint256 words) internal pure returns (uint256) {
        uint256 end;
        assembly ("memory-safe") {
            end := shr(5, mload(0x40))
        }
        return words * (COPIED_WORD + MEMORY_WORD) + ((end + words) ** 2 - end ** 2) / MEMORY_SQUARE_DIVISOR;
    }

    /// @notice Number of zero bytes of this call's data, about 2.5 gas a byte.
    /// @dev Thirty-two bytes at a time: in `flags` a byte is 0x80 where the data's byte is zero and 0x00 elsewhere (adding
    /// 0x7f to the low seven bits carries into the top bit unless they are all zero); the product with 0x0101…
    /// sums the thirty-two flags into the top byte. Reading past the end gives zeros, which are taken off again.
    function zeroBytesOfCalldata() internal pure returns (uint256 zeros) {
        uint256 low = 0x7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f;
        uint256 ones = 0x0101010101010101010101010101010101010101010101010101010101010101;
        assembly ("memory-safe") {
            let offset := 0
            for {} lt(offset, calldatasize()) { offset := add(offset, 32) } {
                let word := calldataload(offset)
                let flags := not(or(or(add(and(word, low), low), word), low))
                zeros := add(zeros, shr(248, mul(shr(7, flags), ones)))
            }
            zeros := sub(zeros, sub(offset, calldatasize()))
        }
    }
}
