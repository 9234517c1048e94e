//! The checker is checked: each anomaly by the smallest history that has it and its sound twin, then by random histories
//! that are sound and the same damaged.

mod minimal;
mod model;
mod random;
mod recorder;
mod story;
