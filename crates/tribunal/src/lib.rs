//! tribunal.
