// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Long byte strings kept as the code of accounts that can never run.
/// @notice Code costs 200 gas a byte to store and is read at once; storage slots cost 690 gas a byte.
library ChunkStore {
    /// @dev The first byte of every chunk is 0x00 (STOP), so 24,576 bytes of code (EIP-170) hold one less.
    uint256 internal constant CHUNK_BYTES_MAX = 24_575;

    /// @notice The bytes of `chunks`, each without its first byte, one after the other; `size` in bytes.
    struct Blob {
        uint256 size;
        address[] chunks;
    }

    /// @notice The account that should hold a chunk could not be created.
    error ChunkNotWritten(uint256 index);

    /// @notice Adds bytes to the end of a blob, as many chunks as are needed.
    function append(Blob storage blob, bytes calldata data) internal {
        for (uint256 start = 0; start < data.length; start += CHUNK_BYTES_MAX) {
            uint256 rest = data.length - start;
            uint256 end = start + (rest < CHUNK_BYTES_MAX ? rest : CHUNK_BYTES_MAX);
            blob.chunks.push(_write(data[start:end], blob.chunks.length));
        }
        blob.size += data.length;
    }

    /// @notice Reads a blob as a whole.
    function read(Blob storage blob) internal view returns (bytes memory data) {
        data = new bytes(blob.size);
        uint256 offset = 0;
        for (uint256 index = 0; index < blob.chunks.length; index++) {
            address chunk = blob.chunks[index];
            uint256 size = chunk.code.length - 1;
            assembly ("memory-safe") {
                extcodecopy(chunk, add(add(data, 32), offset), 1, size)
            }
            offset += size;
        }
    }

    /// @dev Ten bytes of creation code return everything behind them as the account's code:
    /// PUSH2 size, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN.
    function _write(bytes calldata data, uint256 index) private returns (address chunk) {
        bytes memory creation =
            abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a5f395ff3", hex"00", data);
        assembly ("memory-safe") {
            chunk := create(0, add(creation, 32), mload(creation))
        }
        if (chunk == address(0)) revert ChunkNotWritten(index);
    }
}
