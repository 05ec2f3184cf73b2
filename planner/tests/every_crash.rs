//! The shipped planner against every order of events: each request of each run done, refused, lost, late or never sent;
//! each run dead before and after each request; and what people do meanwhile. See `model` for what is modelled and how.
//!
//! `cargo test --profile ci -p keyturn-planner --test every_crash -- --nocapture` explores the default set and prints its
//! figures; `-- --ignored` explores the large configurations.

mod model;

use model::scenario::{Scenario, Signer};
use model::search::{Search, seen};

const OWN: Signer = Signer::Own(0);
const ROLE: Signer = Signer::Role;
const READABLE: bool = false;
const HIDDEN: bool = true;

/// What every rotation of one target shows.
const USUAL: u32 = seen::ROTATED | seen::TORN | seen::RETIRED | seen::REAPED | seen::UNDONE | seen::MENDED;

/// Explores everything, and fails with the shortest way to what is broken.
fn prove(scenario: Scenario) {
    let started = std::time::Instant::now();
    let report = Search::new(&scenario, &planner::next).explore();
    println!("{}, {:.1?}", report.figures(&scenario), started.elapsed());
    if let Some(((which, how), steps, trace)) = report.broken {
        panic!(
            "{}: {which} is broken after {steps} events: {how}\n{trace}",
            scenario.name
        );
    }
    assert!(!report.truncated, "{}: more states than expected", scenario.name);
    assert_eq!(
        report.cut, 0,
        "{}: more keys than the model tells apart",
        scenario.name
    );
    let missed: Vec<&str> = (0..seen::NAMES.len())
        .filter(|at| scenario.expect & !report.seen & (1 << at) != 0)
        .map(|at| seen::NAMES[at])
        .collect();
    assert!(
        missed.is_empty(),
        "{}: never seen, so nothing is proved: {missed:?}",
        scenario.name
    );
}

fn one(name: &'static str, signer: Signer, hidden: bool) -> Scenario {
    Scenario {
        expect: USUAL,
        ..Scenario::new(name, signer, &[hidden])
    }
}

#[test]
fn one_target_one_run() {
    for (name, signer, hidden) in [
        ("one target, role, readable", ROLE, READABLE),
        ("one target, role, hidden", ROLE, HIDDEN),
        ("one target, self, readable", OWN, READABLE),
        ("one target, self, hidden", OWN, HIDDEN),
    ] {
        prove(Scenario {
            faults: Some(2),
            expect: USUAL | seen::LANDED_LATE,
            ..one(name, signer, hidden)
        });
    }
}
