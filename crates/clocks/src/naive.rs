//! An exhibit: the wall clock as a stamp.

use crate::Clock;

/// "Last writer wins" by the time of day.
///
/// # What is wrong
///
/// A clock that is behind stamps an answer before its question, one that is set back an event
/// before its own past; and two events within one unit of time have one stamp.
#[derive(Clone, Debug)]
pub struct Wall;

impl Clock for Wall {
    type Stamp = u64;

    fn start(_: u8, _: u64) -> Self {
        Self
    }

    fn tick(&mut self, wall: u64) -> u64 {
        wall
    }

    fn receive(&mut self, wall: u64, _: u64) -> Option<u64> {
        Some(wall)
    }

    fn reserved(&self) -> u64 {
        0
    }
}
