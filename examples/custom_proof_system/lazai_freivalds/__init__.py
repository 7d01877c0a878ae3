"""An example of a proof system: dense layers checked by random projection. Not for production."""
