//! A deterministic simulation of the service: the real `ringback-service` on
//! fakes, in one thread, under a clock moved by hand.
//!
//! A seed decides everything: who plays, what fails, when we crash. Players keep
//! what they were told; afterwards judges compare it with what the store holds.
//! Judges know nothing of players, and each has a planted bug that it must catch.
//!
//! Not here: HTTP, real disks, real networks, the engine's own tables.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a simulation that is wrong about itself should stop at once")]

pub mod chance;
pub mod disk;
pub mod evidence;
pub mod history;
pub mod judges;
pub mod machine;
pub mod net;
pub mod plant;
pub mod players;
pub mod swarm;
pub mod world;

pub use judges::Verdict;
pub use plant::Plant;
pub use world::{Report, run, run_as_before, run_forwards};
