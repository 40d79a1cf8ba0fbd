//! Raft, handler by handler.
