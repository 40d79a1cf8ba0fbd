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
