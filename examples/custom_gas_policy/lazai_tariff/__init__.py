"""An example of a gas policy: a tariff with a few steps."""
