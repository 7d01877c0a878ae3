// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IArtificialIntelligence} from "../interfaces/IArtificialIntelligence.sol";

/// @title Reads handwritten digits: an example of both ways in which a contract uses a model.
/// @notice The model takes 64 pixels as int8 and gives ten scores, each an int8, int16 or int32.
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

    /// @dev Index of the largest of ten little-endian numbers; the lowest index wins a tie.
    function _best(bytes memory scores) private pure returns (uint8 best) {
        uint256 width = scores.length / CLASSES;
        if (scores.length % CLASSES != 0 || (width != 1 && width != 2 && width != 4)) {
            revert UnexpectedOutput(scores.length);
        }
        int256 highest = type(int256).min;
        for (uint8 index = 0; index < CLASSES; index++) {
            int256 score = _signed(scores, index * width, width);
            if (score > highest) {
                highest = score;
                best = index;
            }
        }
    }

    function _signed(bytes memory data, uint256 start, uint256 width) private pure returns (int256) {
        uint256 raw = 0;
        for (uint256 index = width; index > 0; index--) {
            raw = raw << 8 | uint8(data[start + index - 1]);
        }
        // The number's sign bit becomes the word's, and the shift back fills the word with it.
        uint256 unused = 256 - 8 * width;
        return int256(raw << unused) >> unused;
    }
}
