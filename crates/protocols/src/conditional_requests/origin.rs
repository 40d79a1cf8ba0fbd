//! The origin server: the records, and for each a tag that no two of its versions share.

use super::conditions::{self, PRECONDITION_FAILED};
use super::{Context, Method, Msg, Record, Request, Response};
use crate::record::{Entry, Patient};
use node::NodeId;
use std::collections::BTreeMap;

/// 200 OK, for a GET and for a PUT that changes what is there.
const OK: u16 = 200;
/// 201 Created, for a PUT where nothing was.
const CREATED: u16 = 201;
/// 404 Not Found.
const NOT_FOUND: u16 = 404;

/// Records with the numbers of their versions.
#[derive(Debug, Default)]
pub struct Origin {
    records: BTreeMap<Patient, (Vec<Entry>, u32)>,
}

impl Origin {
    pub(super) fn apply(&mut self, record: &Record) {
        let Record::Put { patient, entries, version } = record;
        self.records.insert(*patient, (entries.clone(), *version));
    }

    pub(super) fn on_request(&mut self, from: NodeId, request: Request, cx: &mut Context) {
        let Request { exchange, method, patient, .. } = request;
        let there = self.records.get(&patient);
        let current = there.and_then(|(_, version)| tag(*version).parse().ok());
        let answer = |status| Response { exchange, status, tag: None, entries: None };
        // 9.3: nothing comes between the check and the write.
        let response = match (conditions::evaluate(&request, current.as_ref()), method) {
            (Err(status), _) => self.refuse(&request, status, cx),
            (Ok(()), Method::Get) => match there {
                None => answer(NOT_FOUND),
                Some((entries, version)) => Response {
                    tag: Some(tag(*version)),
                    entries: Some(entries.clone()),
                    ..answer(OK)
                },
            },
            (Ok(()), Method::Put) => {
                let status = if there.is_none() { CREATED } else { OK };
                let tag = self.put(&request, cx);
                Response { tag: Some(tag), ..answer(status) }
            }
        };
        cx.send(from, Msg::Response(response));
    }

    fn refuse(&self, request: &Request, status: u16, cx: &mut Context) -> Response {
        let there = self.records.get(&request.patient);
        let tag = there.map(|(_, version)| tag(*version));
        let refused = Response { exchange: request.exchange, status, tag, entries: None };
        if status != PRECONDITION_FAILED {
            return refused;
        }
        // 9.6: what it asks for is there already.
        if there.is_some_and(|(entries, _)| Some(entries) == request.entries.as_ref()) {
            cx.mark("a write that was there already was acknowledged again");
            return Response { status: OK, ..refused };
        }
        cx.mark("a write met another version");
        refused
    }

    fn put(&mut self, request: &Request, cx: &mut Context) -> String {
        let entries = request.entries.clone().unwrap_or_default();
        let version = self.records.get(&request.patient).map_or(1, |(_, version)| version + 1);
        let record = Record::Put { patient: request.patient, entries, version };
        self.apply(&record);
        cx.force(record);
        tag(version)
    }
}

/// 9.7: a strong tag, the number of the version.
fn tag(version: u32) -> String {
    format!("\"{version}\"")
}
