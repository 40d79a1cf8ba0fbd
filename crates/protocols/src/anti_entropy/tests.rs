//! Each test quotes the rule that it is about.
