// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IArtificialIntelligence} from "../interfaces/IArtificialIntelligence.sol";

/// @title Reads handwritten digits: an example of both ways in which a contract uses a model.
/// @notice The model takes 64 pixels as int8 and gives ten int32 scores.
contract DigitReader {
    IArtificialIntelligence private constant AI = IArtificialIntelligence(0x0000000000000000000000000000000000000a01);
    uint256 private constant CLASSES = 10;

    /// @notice Program digest of the digit classifier.
    bytes32 public immutable model;
    /// @notice Digit of the latest proven reading by each account, plus one; 0 where there is none.
    mapping(address account => uint8 digitPlusOne) public latest;

    /// @notice A digit was read by a worker and proven.
    event DigitRead(address indexed account, uint8 digit, uint256 computeGas, address worker);

    /// @notice The model gave something else than ten scores.
    error UnexpectedOutput(uint256 size);

    /// @param model_ Program digest of the digit classifier.
    constructor(bytes32 model_) {
        model = model_;
    }

    /// @notice Reads a digit at once, inside the VM; free of charge in a view call.
    /// @param pixels Pixels of the image, an int8 each, row by row.
    /// @return digit The most likely digit.
    function read(bytes calldata pixels) external view returns (uint8 digit) {
        return _best(AI.inferInline(model, _jobInput(pixels)));
    }

    /// @notice Has a worker read a digit and keeps the answer.
    /// @param pixels Pixels of the image, an int8 each, row by row.
    /// @param proofSystem Name of the proof system.
    /// @return digit The most likely digit.
    function readProven(bytes calldata pixels, string calldata proofSystem) external returns (uint8 digit) {
        (bytes memory output, uint256 computeGas, address worker) =
            AI.infer(model, _jobInput(pixels), new uint256[](0), proofSystem, bytes32(0));
        digit = _best(output);
        latest[msg.sender] = digit + 1;
        emit DigitRead(msg.sender, digit, computeGas, worker);
    }

    /// @dev The classifier has no symbolic dimension, so the input starts with four zero bytes.
    function _jobInput(bytes calldata pixels) private pure returns (bytes memory) {
        return bytes.concat(bytes4(0), pixels);
    }

    /// @dev Index of the largest of ten little-endian int32; the lowest index wins a tie.
    function _best(bytes memory scores) private pure returns (uint8 best) {
        if (scores.length != 4 * CLASSES) revert UnexpectedOutput(scores.length);
        int32 highest = type(int32).min;
        for (uint8 index = 0; index < CLASSES; index++) {
            uint256 start = 4 * uint256(index);
            uint32 raw = uint32(uint8(scores[start])) | uint32(uint8(scores[start + 1])) << 8
                | uint32(uint8(scores[start + 2])) << 16 | uint32(uint8(scores[start + 3])) << 24;
            int32 score = int32(raw);
            if (score > highest) {
                highest = score;
                best = index;
            }
        }
    }
}
