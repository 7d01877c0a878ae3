// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title What settlements ask of the model registry.
interface IModelTerms {
    /// @notice Owner and price in wei a call. Reverts with UnknownModel.
    function terms(bytes32 model) external view returns (address owner, uint256 price);
}

/// @title What settlements ask of the data registry.
interface IDatTerms {
    /// @notice Owner, price in wei a use, and whether the account may use the DAT now. Reverts with UnknownDat.
    function terms(uint256 dat, address account) external view returns (address owner, uint256 price, bool permitted);
}

/// @title What settlements ask of the gas parameters.
interface ITip {
    /// @notice Wei for the worker a unit of compute gas.
    function tip() external view returns (uint256);
}

/// @title Who governs the chain: one office for all system contracts.
interface IGovernor {
    /// @notice The governor's account.
    function governor() external view returns (address);
}
