//! Exhibits: systems as articles and manuals suggest them, under the same operations and judges
//! as the right ones.

use crate::lease;

mod lease_lock_unfenced;

pub use lease_lock_unfenced::LeaseLockUnfenced;
