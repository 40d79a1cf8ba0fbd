//! Nodes as processes: the real engine holds what must hold and finds an exhibit, `serve` starts
//! and stops a cluster, and no process is left behind.

use crate::common::{Ran, folder, run};
use crate::{json, ran, tribunal};
use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A few cases on the real engine, whose folder for passing files is looked at afterwards.
fn explored(name: &str, arguments: &[&str]) -> Ran {
    let folder = folder(name);
    let repros = folder.join("repros");
    let mut command = tribunal(&["explore", "--engine", "real", "--json", "--repros"]);
    command.arg(&repros).args(arguments).env("TMPDIR", &folder);
    let ran = run(&mut command);
    let left: Vec<PathBuf> =
        fs::read_dir(&folder).expect("a folder").flatten().map(|f| f.path()).collect();
    assert!(left.iter().all(|path| *path == repros), "left behind: {left:?}");
    // Every process has its configuration below that folder, and would name it.
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    ran
}

/// The command lines of running processes that name a path.
fn processes_of(path: &Path) -> Vec<String> {
    let path = path.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(" serve ") && line.contains(&path)).collect()
}

/// Every verdict and which kinds had an effect, of each scenario.
fn holds(ran: Ran, scenarios: usize) -> Vec<serde_json::Value> {
    let ran = ran.ends(0);
    let reports = json(&ran);
    assert_eq!(reports.len(), scenarios, "{}", ran.out);
    for report in &reports {
        assert_eq!(report["verdict"], "holds", "{report}");
        assert!(report["ok"].as_u64() > Some(0), "nothing was done: {report}");
    }
    reports
}

/// In how many cases a kind had an effect.
fn effective(reports: &[serde_json::Value], kind: &str) -> u64 {
    let tallies = reports.iter().map(|report| &report["faults"][kind]["effective"]);
    tallies.filter_map(serde_json::Value::as_u64).sum()
}

#[test]
fn what_must_hold_holds_with_processes_that_are_killed_stopped_and_cut_off() {
    let names = ["two_phase_commit", "bank", "lease_lock", "register"];
    let faults = ["--max-faults", "60", "--faults", "restart,crash_loop,cut,pause,retry"];
    let arguments = [&names[..], &faults, &["--seeds", "5"]].concat();
    let reports = holds(explored("real-holds", &arguments), names.len());
    for kind in ["crash_loop", "cut", "pause"] {
        assert!(effective(&reports, kind) > 0, "no {kind} had an effect");
    }
}

/// The engine holds every log that a process finds, and every log that is left, against what was
/// written before: `engine_real`'s own tests show that this finds what is lost.
#[test]
fn nothing_acknowledged_is_lost_by_crashes() {
    let arguments = ["bank", "--faults", "crash_loop,restart", "--max-faults", "80"];
    let arguments = [&arguments[..], &["--seeds", "8"]].concat();
    let reports = holds(explored("real-crashes", &arguments), 1);
    assert!(effective(&reports, "restart") + effective(&reports, "crash_loop") > 0, "no kill");
}

#[test]
fn random_fates_strike_on_real_links() {
    let faults = "loss,duplicate,delay,corrupt,duplicate_request";
    let arguments = ["register", "--faults", faults, "--seeds", "4"];
    let reports = holds(explored("real-fates", &arguments), 1);
    let tallies = reports[0]["faults"].as_object().expect("an object");
    assert!(tallies.values().any(|tally| tally["effective"].as_u64() > Some(0)), "{tallies:?}");
}

#[test]
fn an_exhibit_is_found_broken_and_told() {
    let arguments = ["naive::two_phase_commit_c", "--faults", "none", "--seeds", "4", "--first"];
    let ran = explored("real-exhibit", &arguments).ends(1);
    let lines = json(&ran);
    assert_eq!(lines[0]["verdict"], "violated");
    let saved = lines[1]["saved"].as_str().expect("a path");
    let text = fs::read_to_string(saved).expect("the repro");
    assert!(text.contains("engine = \"real\""), "{text}");
}

#[test]
fn processes_end_with_their_engine_however_that_ends() {
    let folder = folder("real-killed");
    let arguments =
        ["explore", "register", "--engine", "real", "--faults", "pause", "--seeds", "99"];
    let mut command = tribunal(&arguments);
    command.current_dir(&folder).env("TMPDIR", &folder).stdout(Stdio::null()).stderr(Stdio::null());
    let mut engine = command.spawn().expect("it starts");
    let wait = |what: &dyn Fn(usize) -> bool| {
        let tries = (0..200).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            processes_of(&folder).len()
        });
        tries.into_iter().any(what)
    };
    let started = wait(&|processes| processes >= 9);
    engine.kill().expect("SIGKILL");
    engine.wait().expect("it ends");
    assert!(started, "no process was ever there");
    assert!(wait(&|processes| processes == 0), "left: {:?}", processes_of(&folder));
}

/// A cluster that `serve` has started, and the numbers of its processes.
struct Cluster {
    command: Child,
    pids: Vec<String>,
    /// What it says is read to the end, or it could not say it.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Cluster {
    fn start(scenario: &str, data: &Path) -> Self {
        let mut serve = tribunal(&["serve", scenario, "--data"]);
        let mut command = serve.arg(data).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(command.stdout.take().expect("a pipe")).lines();
        let mut pids = Vec::new();
        loop {
            let line = lines.next().expect("it comes up").expect("a line");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.iter().position(|word| *word == "process") {
                Some(at) => pids.push(words[at + 1].to_owned()),
                None => break assert!(line.contains("is up"), "{line}"),
            }
        }
        Self { command, pids, _out: lines }
    }

    fn signal(&self, name: &str) {
        let pid = self.command.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    }

    fn alive(&self) -> usize {
        self.pids.iter().filter(|pid| Path::new("/proc").join(pid).exists()).count()
    }

    fn ends(mut self) -> i32 {
        let code = self.command.wait().expect("it ends").code().unwrap_or(-1);
        // A killed parent's children go when they see that it is gone.
        for _ in 0..100 {
            if self.alive() == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(self.alive(), 0, "processes are left");
        code
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

#[test]
fn serve_runs_a_cluster_and_leaves_nothing_behind() {
    let data = folder("serve");
    for signal in ["-TERM", "-INT"] {
        let cluster = Cluster::start("bank", &data);
        assert!(cluster.pids.len() >= 3 && cluster.alive() == cluster.pids.len());
        let file = data.join("cluster.toml");
        let file = file.to_str().expect("a path");
        let one = ["serve", "bank", "--node", "0", "--config", file];
        // The same folder, from another process.
        ran(&one).ends(74).complains(&["is in use by another process"]);
        cluster.signal(signal);
        assert_eq!(cluster.ends(), 0);
    }
    // However its parent ends.
    let cluster = Cluster::start("bank", &data);
    cluster.signal("-KILL");
    assert_eq!(cluster.ends(), -1);
}

#[test]
fn serve_says_what_is_wrong() {
    ran(&["serve", "bonk"]).ends(64).complains(&["no scenario \"bonk\"", "bank"]);
    let data = folder("serve-wrong");
    let cluster = Cluster::start("two_phase_commit", &data);
    cluster.signal("-TERM");
    assert_eq!(cluster.ends(), 0);
    let path = data.join("cluster.toml");
    let file = path.to_str().expect("a path");
    let node =
        |scenario: &str, node: &str| ran(&["serve", scenario, "--node", node, "--config", file]);
    node("two_phase_commit", "9").ends(64).complains(&["no node n9"]);
    node("bank", "0").ends(65).complains(&["scenario \"two_phase_commit\"", "expected \"bank\""]);
    ran(&["serve", "bank", "--data", data.to_str().expect("a path")]).ends(65);

    let text = fs::read_to_string(&path).expect("the file");
    let mut table: toml::Table = text.parse().expect("TOML");
    let addresses = table["addresses"].as_array_mut().expect("a list");
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    addresses[0] = held.local_addr().expect("an address").to_string().into();
    fs::write(&path, table.to_string()).expect("a file");
    node("two_phase_commit", "0").ends(74).complains(&["cannot listen on 127.0.0.1:"]);

    table["addresses"].as_array_mut().expect("a list")[0] = "127.0.0.1:0".into();
    table["cluster"] = "0x77".into();
    fs::write(&path, table.to_string()).expect("a file");
    node("two_phase_commit", "0").ends(65).complains(&["is the log of n0", "expected that of n0"]);
    fs::write(&path, "scenario = 3").expect("a file");
    node("two_phase_commit", "0").ends(65).mentions(&["cluster.toml"]);
}
