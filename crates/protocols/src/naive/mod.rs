//! The articles' own versions, as exhibits: each as literal as a system of messages allows, with
//! what its article claims and what is wrong with it. They are here to be found broken.
//!
//! The articles know no timeouts, no retries and no recovery; neither do the exhibits.

use crate::commit;

mod ledger;
pub mod two_phase_commit_a;
pub mod two_phase_commit_b;
pub mod two_phase_commit_c;
pub mod two_phase_commit_d;
pub mod two_phase_commit_e;
