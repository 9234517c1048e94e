//! The log over a disk in memory. `kit` writes logs and says what must come back.

mod crash;
mod damage;
mod kit;
mod life;
