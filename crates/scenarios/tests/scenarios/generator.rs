//! What the generator draws: faults strike where there is something to strike, and in a share of
//! cases only a core of the nodes heals.

use explorer::{AnyScenario, Budget, Narrow, Progress, campaign_of, seed_of};
use world::Seed;

fn register() -> Box<dyn AnyScenario> {
    let mut all = scenarios::registry().into_iter();
    all.find(|scenario| scenario.name() == "register").expect("the register")
}

fn cases(count: u64) -> impl Iterator<Item = (Seed, toml::Table)> {
    let (register, campaign) = (register(), campaign_of("generator"));
    (0..count).map(move |index| {
        let seed = seed_of(campaign, index);
        let text = register.case_text(seed, &Narrow::default());
        (seed, text.parse().expect("a case is TOML"))
    })
}

#[test]
fn a_fault_that_is_drawn_often_has_an_effect() {
    let report = register().explore(&Budget::seeds(2_000), &Progress::default());
    report.assert_holds();
    for (kind, tally) in report.faults {
        let share = 100 * tally.effective / tally.drawn;
        assert!(share >= 20, "{kind}: {share} % of {} cases", tally.drawn);
    }
}

#[test]
fn in_a_share_of_cases_only_a_core_heals() {
    let core = cases(1_000).filter(|(_, case)| {
        let faults = case.get("faults").and_then(toml::Value::as_array);
        faults.into_iter().flatten().any(|fault| {
            let retired = fault["kind"].get("retire").is_some();
            retired && fault["place"].get("at") == case.get("heal_at")
        })
    });
    let share = core.count();
    assert!((50..250).contains(&share), "{share} of 1000 cases");
}

/// A server that is cut off with some of the clients may be asked for what it no longer knows.
#[test]
fn a_cut_divides_the_clients_in_half_of_the_cases() {
    let (mut with, mut cuts) = (0, 0);
    for (_, case) in cases(1_000) {
        let servers = case["nodes"].as_array().map_or(0, Vec::len) as i64;
        let faults = case.get("faults").and_then(toml::Value::as_array);
        for cut in faults.into_iter().flatten().filter_map(|fault| fault["kind"].get("cut")) {
            let off = cut["nodes"].as_array().expect("whom it cuts off");
            cuts += 1;
            with += u32::from(off.iter().any(|node| node.as_integer() >= Some(servers)));
        }
    }
    assert!((25..75).contains(&(100 * with / cuts)), "{with} of {cuts} cuts");
}

/// A case in which the last node plays the first one's part, if its nodes play parts.
fn miscast(mut case: toml::Table) -> Option<toml::Table> {
    let nodes = case.get_mut("nodes")?.as_array_mut()?;
    let part = nodes.first()?.get("role")?.clone();
    let last = nodes.last_mut()?.as_table_mut()?;
    let before = last.insert("role".to_owned(), part.clone())?;
    (before != part).then_some(case)
}

#[test]
fn a_case_that_nobody_draws_is_refused_and_not_judged() {
    let path = std::path::Path::new("miscast.toml");
    let mut refused = 0;
    for scenario in scenarios::registry() {
        let text = scenario.case_text(Seed(7), &Narrow::default());
        let drawn = text.parse().expect("a case is TOML");
        let Some(case) = miscast(drawn) else { continue };
        let mut repro = toml::Table::new();
        repro.insert("version".into(), 1.into());
        for (key, value) in [("status", "open"), ("signature", "a / b"), ("message", "m")] {
            repro.insert(key.into(), value.into());
        }
        repro.insert("digest".into(), "0000000000000000".into());
        repro.insert("tribunal".into(), "0.1.0".into());
        repro.insert("case".into(), case.into());
        let answer = scenario.replay(path, &repro.to_string());
        assert!(answer.is_err(), "{}: {:?}", scenario.name(), answer.map(|r| r.outcome.verdict));
        refused += 1;
    }
    assert!(refused > 20, "{refused} scenarios have roles");
}
