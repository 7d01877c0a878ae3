"""Exact integer programs: reference execution, static cost, program files and the compiler."""
