//! Without `--cfg madsim` there is no stage: nobody can make one, and what is said to it compiles
//! and never runs. So a test's body is the same text, checked and linted, in both builds.

use crate::trial::{Life, Lines, Workload};
use node::NodeId;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

#[derive(Clone)]
pub(crate) struct Stage {
    nothing: Box<Nothing>,
}

#[derive(Clone, Copy)]
enum Nothing {}

impl Stage {
    pub(crate) fn machines(&self, _: &str, _: RangeInclusive<u16>) -> Vec<NodeId> {
        match *self.nothing {}
    }

    pub(crate) fn address(&self, _: NodeId) -> SocketAddr {
        match *self.nothing {}
    }

    pub(crate) fn folder(&self, _: NodeId) -> PathBuf {
        match *self.nothing {}
    }

    pub(crate) fn serve(&self, _: NodeId, _: Life) {
        match *self.nothing {}
    }

    pub(crate) async fn work(&self, _: Workload) -> Lines {
        match *self.nothing {}
    }

    pub(crate) async fn healed(&self) {
        match *self.nothing {}
    }
}
