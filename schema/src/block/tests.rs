//! Blocks round-trip; bytes that lie are refused.
