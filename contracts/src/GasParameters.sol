// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Prices of computation, at address 0x0000000000000000000000000000000000000a10.
/// @notice Compute gas of a run is ceil(alpha * FLOPs) + gamma + ceil(beta * peak memory in bytes). Gas policies
/// read the slots of this contract directly, so the order of its variables is fixed.
contract GasParameters {
    /// @notice alpha and beta are exact ratios; alpha is compute gas a FLOP, beta compute gas a byte.
    /// `gamma` is compute gas a run, `computeGasTarget` compute gas a block, `tip` wei a unit of compute gas
    /// that settlements pay to workers. Every value is below 2^64.
    struct Parameters {
        uint256 alphaNumerator;
        uint256 alphaDenominator;
        uint256 betaNumerator;
        uint256 betaDenominator;
        uint256 gamma;
        uint256 computeGasTarget;
        uint256 tip;
    }

    /// @notice The only account that may change parameters. Slot 0; set by the genesis.
    address public governor;
    /// @dev Slots 1 to 7; set by the genesis.
    Parameters private _parameters;
    /// @notice The account that may take over as governor, or zero. Slot 8.
    address public pendingGovernor;
    /// @notice Number of the block of the latest change, 0 before the first. Slot 9.
    uint256 public changedAtBlock;

    /// @notice New parameters hold from the next call on.
    event ParametersSet(Parameters previous, Parameters next);
    /// @notice The governor offered the office to `candidate`.
    event GovernorProposed(address indexed governor, address indexed candidate);
    /// @notice `next` took over the office.
    event GovernorChanged(address indexed previous, address indexed next);

    /// @notice Only the governor may do this.
    error NotGovernor(address caller, address governor);
    /// @notice Only the proposed governor may do this.
    error NotPendingGovernor(address caller, address pendingGovernor);
    /// @notice Parameters change at most once a block; the factor of two would mean nothing otherwise.
    error ChangedThisBlock(uint256 blockNumber);
    /// @notice The parameter is outside its fixed range.
    error OutOfRange(string parameter, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice The parameter moves by more than a factor of two.
    error ChangeTooLarge(string parameter);

    /// @notice All parameters at once.
    /// @return All parameters that hold now.
    function parameters() external view returns (Parameters memory) {
        return _parameters;
    }

    /// @notice Wei that settlements pay to the worker for each unit of compute gas.
    /// @return Wei a unit of compute gas.
    function tip() external view returns (uint256) {
        return _parameters.tip;
    }

    /// @notice Sets all parameters. Only the governor, once a block; each moves by at most a factor of two. Gamma and
    /// tip may be zero and step between 0 and 1; ratios and the target stay positive.
    /// @param next The new parameters.
    function setParameters(Parameters calldata next) external {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        if (changedAtBlock == block.number) revert ChangedThisBlock(block.number);
        Parameters memory previous = _parameters;
        _checkRange("alphaNumerator", next.alphaNumerator, 1);
        _checkRange("alphaDenominator", next.alphaDenominator, 1);
        _checkRange("betaNumerator", next.betaNumerator, 1);
        _checkRange("betaDenominator", next.betaDenominator, 1);
        _checkRange("gamma", next.gamma, 0);
        _checkRange("computeGasTarget", next.computeGasTarget, 1);
        _checkRange("tip", next.tip, 0);
        // Two ratios compare as their cross products, which stay below 2^128.
        _checkStep(
            "alpha",
            previous.alphaNumerator * next.alphaDenominator,
            next.alphaNumerator * previous.alphaDenominator
        );
        _checkStep(
            "beta", previous.betaNumerator * next.betaDenominator, next.betaNumerator * previous.betaDenominator
        );
        _checkStep("gamma", previous.gamma, next.gamma);
        _checkStep("computeGasTarget", previous.computeGasTarget, next.computeGasTarget);
        _checkStep("tip", previous.tip, next.tip);
        _parameters = next;
        changedAtBlock = block.number;
        emit ParametersSet(previous, next);
    }

    /// @notice Offers the office of governor; the candidate must accept, so that a typing error costs nothing.
    /// @param candidate The account that may accept, or zero to take an offer back.
    function proposeGovernor(address candidate) external {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        pendingGovernor = candidate;
        emit GovernorProposed(msg.sender, candidate);
    }

    /// @notice Takes over the office of governor. Only the proposed account.
    function acceptGovernor() external {
        if (msg.sender != pendingGovernor) revert NotPendingGovernor(msg.sender, pendingGovernor);
        emit GovernorChanged(governor, msg.sender);
        governor = msg.sender;
        pendingGovernor = address(0);
    }

    function _checkRange(string memory parameter, uint256 value, uint256 minimum) private pure {
        if (value < minimum || value > type(uint64).max) {
            revert OutOfRange(parameter, value, minimum, type(uint64).max);
        }
    }

    function _checkStep(string memory parameter, uint256 previous, uint256 next) private pure {
        uint256 highest = previous == 0 ? 1 : 2 * previous;
        // For a cross product of ratios an odd value must not be halved downwards; only 1 may fall to 0.
        bool tooLow = 2 * next < previous && !(previous == 1 && next == 0);
        if (next > highest || tooLow) revert ChangeTooLarge(parameter);
    }
}
