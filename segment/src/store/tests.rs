//! The store against its promises: over memory and over sled, through reopening, crashes at any moment, and failing disks.

mod conform;
mod crash;
mod every_call;
mod faults;
mod held;
mod images;
mod index;
pub(crate) mod kit;
mod life;
mod promises;
mod table;
mod trim;
mod workload;
