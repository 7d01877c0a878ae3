// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The AI-call precompile, at address 0x0000000000000000000000000000000000000a01.
/// @notice Runs exact integer programs, named by the digest of their skeleton. Gas is charged from the
/// static cost of the program before any work is done.
interface IArtificialIntelligence {
    /// @notice The model is not registered.
    error UnknownModel(bytes32 model);
    /// @notice The chain has no proof system of this name.
    error UnknownProofSystem(string name);
    /// @notice The input does not fit the model: length, range or symbolic dimension.
    error InvalidInput(string reason);
    /// @notice The caller may not use this DAT.
    error DatNotPermitted(uint256 dat, address account);
    /// @notice The model is too large to run on every node.
    error InlineLimitExceeded(uint256 flops, uint256 memoryBytesPeak);
    /// @notice The registry does not hold all constants of the model, so it cannot run inline.
    error ConstantsMissing(bytes32 model);
    /// @notice A run needs a record, and a static call cannot ask for one.
    error StaticCall();
    /// @notice The precompile was reached through DELEGATECALL or CALLCODE.
    error NotCalledDirectly();
    /// @notice The precompile takes no coins.
    error ValueNotAccepted();
    /// @notice There is no function of this selector.
    error UnknownFunction(bytes4 selector);
    /// @notice The calldata is not the encoding of the function's arguments.
    error MalformedCall(string reason);

    /// @notice Runs a model on a worker; the answer enters the block as a compute record with a proof.
    /// @param model Program digest, registered in the model registry.
    /// @param input Job input bytes: u32 big-endian value of the symbolic dimension (0 where there is none),
    /// then each input tensor as little-endian bytes.
    /// @param dats Data anchoring tokens that the run uses; each must permit the caller.
    /// @param proofSystem Name of the proof system, for example "attestation".
    /// @param salt Separates runs that are equal otherwise; zero where a record may be shared.
    /// @return output Job output bytes: each output tensor as little-endian bytes.
    /// @return computeGas Compute gas that was charged for the run.
    /// @return worker Address that did the work and signed the record.
    function infer(
        bytes32 model,
        bytes calldata input,
        uint256[] calldata dats,
        string calldata proofSystem,
        bytes32 salt
    ) external returns (bytes memory output, uint256 computeGas, address worker);

    /// @notice Runs a small model inside the VM, on every node, also in a view call.
    /// @dev The model's constants must lie in the model registry and its cost under the genesis limits.
    /// @param model Program digest.
    /// @param input Job input bytes, as in `infer`.
    /// @return output Job output bytes, as in `infer`.
    function inferInline(bytes32 model, bytes calldata input) external view returns (bytes memory output);

    /// @notice Static cost of one run.
    /// @param model Program digest.
    /// @param dimension Value of the symbolic dimension, 0 where there is none.
    /// @return gas Compute gas of the run.
    /// @return flops Floating point operations that the run counts as.
    /// @return memoryBytesPeak Planned peak memory in bytes.
    function computeGas(bytes32 model, uint32 dimension)
        external
        view
        returns (uint256 gas, uint256 flops, uint256 memoryBytesPeak);
}
