//! What a user's test does when it fails: a story, a saved case, and a replay that holds it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tribunal::explorer::{AnyScenario, repro};
use tribunal::prelude::*;

/// A server that keeps what it is given; whether it syncs before it answers is its configuration.
struct Vault {
    syncs: bool,
    kept: Vec<u32>,
}

impl Node for Vault {
    type Config = bool;
    type Op = u32;
    type Ret = ();
    type Msg = ();
    type Record = u32;
    type Timer = ();

    fn new(_: NodeId, syncs: &bool) -> Self {
        Self { syncs: *syncs, kept: Vec::new() }
    }

    fn on_start(&mut self, log: &[u32], _: &mut Cx<Self>) {
        self.kept = log.to_vec();
    }

    fn on_request(&mut self, request: RequestId, op: u32, cx: &mut Cx<Self>) {
        self.kept.push(op);
        if self.syncs {
            cx.force(op)
        } else {
            cx.persist(op)
        }
        cx.reply(request, ());
    }

    fn on_message(&mut self, _: NodeId, (): (), _: &mut Cx<Self>) {}

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

/// What was answered is kept. Both vaults go by one name, as a bug and its fix do.
struct Keeps {
    name: &'static str,
    syncs: bool,
}

impl Scenario for Keeps {
    type Node = Vault;

    fn name(&self) -> String {
        self.name.into()
    }

    fn shape(&self) -> Shape {
        Shape { nodes: 1, ..Shape::default() }
    }

    fn op(&self) -> impl Strategy<Value = u32> {
        any::<u32>()
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<bool>> {
        Just(vec![self.syncs])
    }

    fn check(&self, run: &Run<Vault>) -> Verdict {
        let kept = run.state(NodeId(0)).map(|vault| &vault.kept);
        let is_kept = |op| kept.is_none_or(|kept| kept.contains(op));
        for operation in run.history().operations() {
            if matches!(operation.outcome, Outcome::Ok(())) && !is_kept(operation.op) {
                let message = format!("{} was answered and is gone", operation.op);
                return Verdict::violated("vault", "lost", message);
            }
        }
        Verdict::Holds
    }
}

fn forgetful(name: &'static str) -> Keeps {
    Keeps { name, syncs: false }
}

/// An empty folder for one test's repros.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trial").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder of ours");
    }
    folder
}

/// What it panics with.
#[track_caller]
fn panic_of(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    *panic.downcast::<String>().expect("a text")
}

/// A failing trial, its text, and the one file that it saved.
fn failed(name: &'static str) -> (String, PathBuf) {
    let root = folder(name);
    let trial = tribunal::explore_with(&forgetful(name), Budget::seeds(2_000), &root);
    let told = panic_of(|| trial.assert_holds());
    let saved = repro::below(&root);
    assert_eq!(saved.len(), 1);
    (told, saved[0].clone())
}

/// The file with one of its lines changed.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a repro");
    assert!(text.contains(from), "no {from:?} in:\n{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("a repro");
}

#[test]
fn a_failure_is_a_story_and_a_file_that_replays() {
    let (told, saved) = failed("vault");
    // Continuous integration also prints the file, which it would lose.
    let (story, file) = told.split_once("\n# A case that").unwrap_or((&told, ""));
    assert_eq!(!file.is_empty(), tribunal::in_ci());
    assert!(story.lines().count() <= 40, "{story}");
    assert!(story.starts_with("vault   VIOLATED   lost: "), "{story}");
    for words in
        ["  seed 0x", "shrunk to 1 nodes, 1 ops, 1 faults", "FAULT power loss", "\n  saved    "]
    {
        assert!(story.contains(words), "no {words:?} in:\n{story}");
    }
    assert!(saved.parent().is_some_and(|folder| folder.ends_with("vault")), "{saved:?}");
    let last = story.lines().last().unwrap_or_default();
    assert!(last.starts_with("  replay   tribunal::replay(&scenario, \""), "{last}");

    let text = repro::read(&saved).expect("a repro");
    let again = AnyScenario::replay(&forgetful("vault"), &saved, &text).expect("a repro of it");
    assert_eq!(again.note(), None, "equal code, equal digest");
    replay(&forgetful("vault"), &saved);
}

#[test]
fn a_signature_is_saved_once() {
    let (_, saved) = failed("once");
    let root = saved.ancestors().nth(2).expect("the folder of repros");
    let other = Budget { campaign: Some(7), ..Budget::seeds(2_000) };
    let trial = tribunal::explore_with(&forgetful("once"), other, root);
    assert_eq!(trial.save().expect("it fails").expect("it is saved"), saved);
    // One that is fixed holds: a failure like it is another one.
    edit(&saved, "status = \"open\"", "status = \"fixed\"");
    trial.save().expect("it fails").expect("it is saved");
    let is_open = |path: &PathBuf| repro::read(path).is_ok_and(|text| text.contains("\"open\""));
    assert_eq!(repro::below(root).iter().filter(|path| is_open(path)).count(), 1);
}

#[test]
fn an_open_case_that_passes_says_so() {
    let (_, saved) = failed("open");
    let mended = Keeps { name: "open", syncs: true };
    edit(&saved, "nodes = [false]", "nodes = [true]");
    let told = panic_of(|| replay(&mended, &saved));
    assert!(told.contains("open, but it passes: set its status to \"fixed\""), "{told}");
    // And so does a trial, before anything else would.
    let root = saved.ancestors().nth(2).expect("the folder of repros");
    let trial = tribunal::explore_with(&mended, Budget::seeds(50), root);
    assert!(trial.verdict().holds());
    assert!(panic_of(|| trial.assert_holds()).contains("open, but it passes"));

    edit(&saved, "status = \"open\"", "status = \"fixed\"");
    replay(&mended, &saved);
    tribunal::explore_with(&mended, Budget::seeds(50), root).assert_holds();
}

#[test]
fn a_fixed_case_that_fails_says_so() {
    let (_, saved) = failed("fixed");
    edit(&saved, "status = \"open\"", "status = \"fixed\"");
    let told = panic_of(|| replay(&forgetful("fixed"), &saved));
    assert!(told.contains("fixed, but it fails: VIOLATED   lost: "), "{told}");
    assert!(told.contains("FAULT power loss"), "with its story: {told}");
}

#[test]
fn a_case_whose_fault_finds_no_event_has_drifted() {
    let (_, saved) = failed("drifted");
    edit(&saved, "status = \"open\"", "status = \"fixed\"");
    let text = fs::read_to_string(&saved).expect("a repro");
    let place = text.split("[case.faults.place").nth(1).expect("a placed fault");
    let line = place.lines().find(|line| line.starts_with("nth = ")).expect("placed at an effect");
    edit(&saved, line, "nth = 9999");
    let told = panic_of(|| replay(&forgetful("drifted"), &saved));
    let command = format!("`tribunal shrink --refit {}`", saved.display());
    for words in
        ["drifted: fault ", "(power_loss) finds no event at ", "number 9999 of n0", &command]
    {
        assert!(told.contains(words), "no {words:?} in:\n{told}");
    }
}

#[test]
fn what_cannot_be_read_names_the_file_and_what_was_expected() {
    let (_, saved) = failed("unread");
    edit(&saved, "version = 1", "version = 9");
    let told = panic_of(|| replay(&forgetful("unread"), &saved));
    assert!(told.ends_with(".toml: version 9: expected 1"), "{told}");
    assert!(
        panic_of(|| replay(&forgetful("unread"), "no/such.toml")).starts_with("no/such.toml: ")
    );
    assert_eq!(replay_all(&forgetful("nothing saved of it")), 0);
}

#[test]
fn a_planted_bug_is_found_and_nothing_is_written() {
    let root = folder("planted");
    let narrow = Narrow { mutant: Some(MutationKind::DropForce.into()), ..Narrow::default() };
    let budget = Budget { narrow, ..Budget::seeds(500) };
    let vault = Keeps { name: "planted", syncs: true };
    let trial = tribunal::explore_with(&vault, budget, &root);
    assert_eq!(trial.assert_violated().anomaly.class, "lost");
    assert!(!root.exists());
    tribunal::explore_with(&vault, Budget::seeds(500), &root).assert_holds();
    let holds = explore(&vault, Budget::seeds(5));
    let told = panic_of(|| assert_eq!(holds.assert_violated().nodes, 1));
    assert!(told.contains("HOLDS in 5 cases, expected a violation"), "{told}");
}

/// The environment is a process's own, so this one runs itself: once to look, once as CI.
#[test]
fn nothing_is_written_to_the_source_tree_in_ci() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repros/as_ci");
    if std::env::var_os("TRIAL_AS_CI").is_some() {
        let trial = explore(&forgetful("as_ci"), Budget::seeds(2_000));
        panic!("{}", panic_of(|| trial.assert_holds()));
    }
    let this = std::env::current_exe().expect("this test");
    let output = std::process::Command::new(this)
        .args(["nothing_is_written_to_the_source_tree_in_ci", "--nocapture"])
        .envs([("CI", "true"), ("TRIAL_AS_CI", "")])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("as_ci   VIOLATED   lost"), "{told}");
    assert!(!tree.exists());
    let saved = told.lines().find_map(|line| line.strip_prefix("  saved    ")).expect("a path");
    assert!(saved.contains("/tribunal/repros/as_ci/"), "{saved}");
    assert!(told.contains("\nstatus = \"open\"\n"), "the file is printed: {told}");
    fs::remove_file(Path::new(env!("CARGO_MANIFEST_DIR")).join(saved)).expect("it is there");
}
