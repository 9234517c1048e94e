//! The store against its promises: over memory and over sled, through reopening, crashes at any moment, and failing disks.

mod conform;
mod crash;
mod faults;
mod held;
mod index;
pub(crate) mod kit;
mod life;
mod table;
mod trim;
