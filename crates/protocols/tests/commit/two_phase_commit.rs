//! Rules P1, one by one.
