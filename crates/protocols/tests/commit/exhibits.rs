//! What is wrong with each exhibit.
