//! Exhibits: systems as articles and manuals suggest them, under the same operations and judges
//! as the right ones.

use crate::register;

mod register_without_write_back;

pub use register_without_write_back::RegisterWithoutWriteBack;
