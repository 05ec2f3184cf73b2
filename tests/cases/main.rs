//! What 0.1.0 did wrong to people: pairs that it broke, secrets and keys that it lost, and reports that hid it. Each is a
//! case, played with the real binary against the testbed and judged by the world afterwards: whether STS accepts the two
//! values that GitLab holds, whether a secret is still there, which keys exist, and how the run ended.
//!
//! Cases that aren't mended yet stand in `open.txt`. `make regress` plays all of them with 0.1.0, too, in which each must
//! be red: a case that 0.1.0 passes tests nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod answers;
mod case;
mod elsewhere;
mod front;
mod green;
mod lags;
mod people;
mod whose;
mod world;

use std::collections::BTreeSet;

use crate::case::Case;

/// All of them, by what goes wrong.
const GROUPS: &[&[Case]] = &[
    whose::CASES,
    elsewhere::CASES,
    people::CASES,
    answers::CASES,
    lags::CASES,
    green::CASES,
];

#[test]
fn each_open_case_is_one_of_these() {
    let mut known = BTreeSet::new();
    for case in GROUPS.iter().copied().flatten() {
        let names: BTreeSet<String> = case.scenes.iter().map(|scene| case.name(scene)).collect();
        assert_eq!(
            names.len(),
            case.scenes.len(),
            "{}: two scenes have one name",
            case.id
        );
        assert!(!known.contains(case.id), "{} stands twice", case.id);
        known.insert(case.id.to_owned());
        known.extend(names);
    }
    for (name, _) in case::open() {
        assert!(known.contains(name), "open.txt: there is no {name}");
    }
}
