//! The shipped planner against every order of events: each request of each run done, refused, lost, late or never sent;
//! each run dead before and after each request; and what people do meanwhile. See `model` for what is modelled and how.
//!
//! `cargo test --profile ci -p keyturn-planner --test every_crash -- --nocapture` explores the default set and prints its
//! figures; `-- --ignored` explores the large configurations.

#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test: it prints its figures and fails with a trace"
)]

mod model;

use model::scenario::{Scenario, Signer, Start};
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
    // Two runs and lists that lag can name more keys than the model tells apart; the figures say how often that was.
    assert!(
        report.cut == 0 || scenario.runs > 1 && scenario.lag,
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
        faults: Some(1),
        expect: USUAL,
        ..Scenario::new(name, signer, &[hidden])
    }
}

fn two(name: &'static str, signer: Signer, hidden: [bool; 2]) -> Scenario {
    Scenario {
        faults: Some(1),
        expect: USUAL,
        ..Scenario::new(name, signer, &hidden)
    }
}

const LATE: u32 = USUAL | seen::LANDED_LATE;

#[test]
fn one_target_whatever_fails() {
    for (name, signer, hidden) in [
        ("one target, role, readable", ROLE, READABLE),
        ("one target, self, hidden", OWN, HIDDEN),
    ] {
        prove(Scenario {
            faults: Some(2),
            expect: LATE,
            ..one(name, signer, hidden)
        });
    }
    prove(one("one target, role, hidden", ROLE, HIDDEN));
    prove(one("one target, self, readable", OWN, READABLE));
}

#[test]
fn two_targets_whatever_fails() {
    prove(two("two targets, role, readable", ROLE, [READABLE, READABLE]));
    prove(two(
        "two targets, role, readable and hidden",
        ROLE,
        [READABLE, HIDDEN],
    ));
    // The one that can be read is written first, so that none of these ever has to go back.
    prove(two(
        "two targets, role, hidden and readable",
        ROLE,
        [HIDDEN, READABLE],
    ));
    prove(two("two targets, self, hidden", OWN, [HIDDEN, HIDDEN]));
    prove(Scenario {
        expect: USUAL | seen::ROLLED_BACK,
        ..two(
            "two targets, self, the own one last, hidden",
            Signer::Own(1),
            [HIDDEN, HIDDEN],
        )
    });
    prove(Scenario {
        unread: true,
        ..two("two targets, one may fail to be read", ROLE, [READABLE, READABLE])
    });
}

/// Without a readable target, and signed by a role, nobody would hold a secret that could finish a rotation cut short.
#[test]
fn two_hidden_targets_and_a_role_are_never_rotated() {
    prove(Scenario {
        expect: 0,
        ..two("two targets, role, hidden: refused", ROLE, [HIDDEN, HIDDEN])
    });
}

#[test]
fn a_grace_of_zero() {
    let immediate = |scenario| Scenario {
        immediate: true,
        ..scenario
    };
    prove(immediate(one("grace 0, role, readable", ROLE, READABLE)));
    prove(Scenario {
        expect: USUAL | seen::SWITCHED,
        ..immediate(one("grace 0, self, hidden", OWN, HIDDEN))
    });
}

#[test]
fn other_settings() {
    prove(Scenario {
        by_age: true,
        soak: true,
        ..one("due by age, deleted after a soak, self", OWN, READABLE)
    });
    prove(Scenario {
        soak: true,
        ..one("always due, deleted after a soak, role", ROLE, HIDDEN)
    });
    prove(Scenario {
        slow_lists: true,
        ..one("lists that lag for longer", ROLE, READABLE)
    });
    prove(Scenario {
        journal: false,
        expect: USUAL & !seen::REAPED,
        // An orphan that nothing proves to be ours is left to a person.
        leftovers: &["slot_occupied"],
        ..one("no journal", ROLE, READABLE)
    });
}

#[test]
fn people_meanwhile() {
    prove(Scenario {
        uses: true,
        ..one("jobs whose use is recorded", OWN, READABLE)
    });
    prove(Scenario {
        foreign: 1,
        uses: true,
        faults: Some(0),
        ..one("somebody creates a key", ROLE, READABLE)
    });
    for (name, signer, hidden, leftovers) in [
        // The key that a person replaced, where no marker ever named it, is not proved to be ours.
        (
            "somebody replaces the pair by hand, readable",
            ROLE,
            READABLE,
            &["slot_occupied"][..],
        ),
        // Whose a hidden secret is, when both halves were replaced by hand, only that person knows.
        (
            "somebody replaces the pair by hand, hidden",
            ROLE,
            HIDDEN,
            &["slot_occupied", "owner_unknown"][..],
        ),
        // A run that is handed one half of each can't sign, where no marker says whose the secret is.
        (
            "somebody replaces the pair by hand, self, readable",
            OWN,
            READABLE,
            &["slot_occupied", "no_credential"][..],
        ),
        (
            "somebody replaces the pair by hand, self, hidden",
            OWN,
            HIDDEN,
            &["slot_occupied", "owner_unknown", "no_credential"][..],
        ),
    ] {
        prove(Scenario {
            foreign: 1,
            edits: 1,
            half_edits: true,
            faults: Some(0),
            leftovers,
            ..one(name, signer, hidden)
        });
    }
}

/// Where there is nothing yet, the list of keys is taken to be true: two looks that both miss a key of this minute would
/// create a second one (it ends in a torn pair that the next run mends).
#[test]
fn from_nothing() {
    let empty = |scenario| Scenario {
        start: Start::Empty,
        lag: false,
        ..scenario
    };
    prove(empty(one("no variable and no key yet, readable", ROLE, READABLE)));
    prove(empty(one("no variable and no key yet, hidden", ROLE, HIDDEN)));
}

/// Something between changes the status of an answer: the write took effect.
#[test]
fn refusals_of_writes_that_took_effect() {
    for (name, signer, hidden) in [
        ("refusals that lie, role, readable", ROLE, READABLE),
        ("refusals that lie, role, hidden", ROLE, HIDDEN),
        ("refusals that lie, self, hidden", OWN, HIDDEN),
    ] {
        prove(Scenario {
            lies: true,
            expect: USUAL | seen::LIED,
            ..one(name, signer, hidden)
        });
    }
    prove(Scenario {
        lies: true,
        unread: true,
        faults: Some(2),
        expect: USUAL | seen::LIED,
        lag: false,
        sts_fails: false,
        ..two(
            "refusals that lie, and a target that may fail to be read",
            ROLE,
            [READABLE, READABLE],
        )
    });
}

/// What announced a key that was refused vouches for no key that a person makes.
#[test]
fn a_key_refused_for_want_of_a_right() {
    prove(Scenario {
        denials: true,
        foreign: 1,
        expect: seen::ROTATED | seen::DENIED | seen::CLOSED,
        leftovers: &["slot_occupied"],
        ..one("a key refused, and somebody creates one", ROLE, READABLE)
    });
}

/// IAM's dates have a resolution of a second, and ids are random.
#[test]
fn a_first_rotation_in_the_second_of_the_first_key() {
    for (name, hidden, leftovers) in [
        ("the first key is of this second, readable", READABLE, &[][..]),
        // A later run can't tell which of two keys of one second is the orphan, where no marker says what a hidden pair holds.
        (
            "the first key is of this second, hidden",
            HIDDEN,
            &["slot_occupied"][..],
        ),
    ] {
        prove(Scenario {
            start: Start::Young,
            lag: false,
            leftovers,
            ..one(name, ROLE, hidden)
        });
    }
}

#[test]
fn from_anything() {
    let expect = seen::ROTATED | seen::TORN | seen::RETIRED | seen::MENDED | seen::REAPED;
    for (name, signer, hidden, leftovers) in [
        // Keys that nothing proves to be ours, keys that somebody deactivated, and secrets that fit no key and that no marker
        // claims, are left to a person.
        (
            "from any state, role, readable",
            ROLE,
            READABLE,
            &["slot_occupied", "key_disabled", "owner_unknown"][..],
        ),
        (
            "from any state, role, hidden",
            ROLE,
            HIDDEN,
            &["slot_occupied", "key_disabled", "owner_unknown"][..],
        ),
        // A run that signs with the pair can do nothing where the pair does not work.
        (
            "from any state, self, readable",
            OWN,
            READABLE,
            &["slot_occupied", "key_disabled", "owner_unknown", "no_credential"][..],
        ),
        (
            "from any state, self, hidden",
            OWN,
            HIDDEN,
            &["slot_occupied", "key_disabled", "owner_unknown", "no_credential"][..],
        ),
    ] {
        prove(Scenario {
            start: Start::Anything,
            faults: Some(0),
            lag: false,
            sts_fails: false,
            leftovers,
            expect,
            ..one(name, signer, hidden)
        });
    }
}

#[test]
fn two_overlapping_runs() {
    let overlap = |scenario| Scenario {
        runs: 2,
        faults: Some(0),
        lag: false,
        ..scenario
    };
    let expect = USUAL & !seen::UNDONE;
    prove(Scenario {
        expect,
        ..overlap(one("two runs, role, readable", ROLE, READABLE))
    });
    prove(Scenario {
        expect,
        ..overlap(one("two runs, self, hidden", OWN, HIDDEN))
    });
    prove(Scenario {
        quota_race: true,
        ties: false,
        expect: USUAL | seen::TWO_CREATORS | seen::THREE_KEYS,
        ..overlap(one(
            "two runs, and IAM lets both create, seconds apart",
            ROLE,
            READABLE,
        ))
    });
    prove(Scenario {
        quota_race: true,
        expect: USUAL | seen::TWO_CREATORS | seen::THREE_KEYS,
        // The marker remembers one key before; when two creators both won, the one before that is forgotten.
        leftovers: &["slot_occupied"],
        ..overlap(one(
            "two runs, and IAM lets both create in one second",
            ROLE,
            HIDDEN,
        ))
    });
}

#[test]
fn two_overlapping_runs_of_two_targets() {
    prove(Scenario {
        runs: 2,
        faults: Some(0),
        lag: false,
        expect: USUAL & !seen::UNDONE,
        ..two("two runs, two targets, role", ROLE, [READABLE, HIDDEN])
    });
}

#[test]
fn two_overlapping_runs_with_a_fault() {
    prove(Scenario {
        runs: 2,
        lag: false,
        in_flight: 1,
        ..one("two runs, a fault, role", ROLE, READABLE)
    });
}

// Large configurations: `-- --ignored`.

#[test]
#[ignore = "minutes"]
fn one_target_more_faults() {
    prove(Scenario {
        faults: Some(3),
        expect: LATE,
        ..one("one target, role, readable, three faults", ROLE, READABLE)
    });
}

#[test]
#[ignore = "minutes"]
fn a_grace_of_zero_two_faults() {
    prove(Scenario {
        immediate: true,
        faults: Some(2),
        most_states: 12_000_000,
        ..one("grace 0, role, readable, two faults", ROLE, READABLE)
    });
}

#[test]
#[ignore = "minutes"]
fn the_own_target_last_two_faults() {
    prove(Scenario {
        faults: Some(2),
        expect: USUAL | seen::ROLLED_BACK,
        ..two(
            "two targets, self, the own one last, hidden, two faults",
            Signer::Own(1),
            [HIDDEN, HIDDEN],
        )
    });
}

#[test]
#[ignore = "minutes"]
fn two_targets_two_faults() {
    prove(Scenario {
        faults: Some(2),
        ..two("two targets, self, hidden, two faults", OWN, [HIDDEN, HIDDEN])
    });
    prove(Scenario {
        faults: Some(2),
        ..two("two targets, role, mixed, two faults", ROLE, [HIDDEN, READABLE])
    });
}

#[test]
#[ignore = "minutes"]
fn two_overlapping_runs_with_lagging_lists() {
    prove(Scenario {
        runs: 2,
        faults: Some(0),
        ..one("two runs, lists that lag, role", ROLE, HIDDEN)
    });
}

#[test]
#[ignore = "minutes"]
fn two_overlapping_runs_that_sign_with_the_pair_and_a_fault() {
    prove(Scenario {
        runs: 2,
        lag: false,
        in_flight: 1,
        ..one("two runs, a fault, self", OWN, HIDDEN)
    });
}

#[test]
#[ignore = "minutes"]
fn a_race_for_the_quota_and_a_fault() {
    prove(Scenario {
        runs: 2,
        lag: false,
        in_flight: 1,
        quota_race: true,
        ties: false,
        expect: USUAL | seen::TWO_CREATORS | seen::THREE_KEYS,
        ..one("two runs, IAM lets both create, and a fault", ROLE, READABLE)
    });
}

#[test]
#[ignore = "minutes"]
fn one_target_any_number_of_faults() {
    for (name, signer, hidden, in_flight) in [
        ("one target, role, readable, all faults", ROLE, READABLE, 2),
        ("one target, role, hidden, all faults", ROLE, HIDDEN, 2),
        ("one target, self, readable, all faults", OWN, READABLE, 1),
        ("one target, self, hidden, all faults", OWN, HIDDEN, 1),
    ] {
        prove(Scenario {
            faults: None,
            in_flight,
            expect: LATE,
            ..one(name, signer, hidden)
        });
    }
}
