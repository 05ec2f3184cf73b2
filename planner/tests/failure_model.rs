//! `docs/failure-model.md`: what every crash and every lost answer leaves behind and what the next run does about it, taken
//! from the model in which the planner is proved. `KEYTURN_BLESS=1 cargo test -p keyturn-planner` writes it anew.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants,
    clippy::indexing_slicing,
    reason = "a test that means one case of many"
)]

mod common;
mod model;

use std::fmt::Write as _;

use model::process::{Act, Phase, Process, Settled};
use model::scenario::{Scenario, Signer};
use model::search::Search;
use model::world::*;
use planner::Verdict;

/// What befalls a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    DiesBefore,
    DiesAfter,
    AnswerLost,
    NeverArrives,
    Refused,
}

impl Fate {
    const ALL: [Fate; 5] = [
        Fate::DiesBefore,
        Fate::DiesAfter,
        Fate::AnswerLost,
        Fate::NeverArrives,
        Fate::Refused,
    ];

    fn words(self) -> &'static str {
        match self {
            Fate::DiesBefore => "killed before it is sent",
            Fate::DiesAfter => "done, then killed",
            Fate::AnswerLost => "done, answer lost",
            Fate::NeverArrives => "not done, answer lost",
            Fate::Refused => "refused",
        }
    }
}

fn request_words(act: Act) -> &'static str {
    match act {
        Act::Journal => "write the intent",
        Act::Create => "create the new key",
        Act::Verify(_) => "prove the new key",
        Act::WriteSecret(..) => "write the secret",
        Act::WriteId(..) => "write the id",
        Act::SwitchSigner(_) => "sign with the new key",
        Act::Deactivate(_) => "deactivate the old key",
        Act::Delete(0) => "delete the old key",
        Act::Delete(_) => "delete the orphan",
        Act::Undo(_) => "delete the new key again",
        Act::None => "nothing",
    }
}

fn ended(verdict: Option<&Verdict>) -> &'static str {
    match verdict {
        None => "no credential",
        Some(Verdict::Converged { .. }) => "converged",
        Some(Verdict::Wait(wait)) => wait.word(),
        Some(Verdict::Blocked(block)) => block.word(),
        Some(Verdict::Incomplete(why)) => why.word(),
        Some(Verdict::Look(_) | Verdict::Do(_)) => "goes on",
    }
}

/// Runs one process to its end. The fate befalls the request with this number; what was asked of each is noted.
fn run(
    search: &Search<'_>,
    mut world: World,
    fate: Option<(usize, Fate)>,
) -> (World, Vec<Act>, Option<Verdict>, bool) {
    let scenario = search.scenario;
    let mut asked = Vec::new();
    let Some(mut process) = Process::start(&world, scenario) else {
        return (world, asked, None, true);
    };
    let settle = |process: &mut Process, world: &World| {
        process.settle(world, scenario, &search.policy, search.planner, false)
    };
    for _ in 0..200 {
        match process.phase {
            Phase::Read(target) => process.read(&world, scenario, target, false),
            Phase::List | Phase::Decide => {
                process.list(&world, 0);
                if let Settled::Ended(end) = settle(&mut process, &world) {
                    return (world, asked, Some(end), true);
                }
            }
            Phase::Send => {
                process.begin();
                asked.push(process.act);
                let fate = fate
                    .filter(|(number, _)| *number + 1 == asked.len())
                    .map(|(_, fate)| fate);
                let request = process.request(&world, scenario);
                if fate == Some(Fate::DiesBefore) {
                    return (world, asked, None, false);
                }
                let Some(request) = request else {
                    match process.act {
                        Act::Verify(key) => {
                            if let Some(key) = world.keys.get_mut(usize::from(key)) {
                                key.proved = true;
                            }
                            process.proved(true);
                        }
                        _ => process.switched(),
                    }
                    if fate == Some(Fate::DiesAfter) {
                        return (world, asked, None, false);
                    }
                    continue;
                };
                let key = match fate {
                    Some(Fate::NeverArrives | Fate::Refused) => NONE,
                    _ => world.apply(&request, scenario),
                };
                match fate {
                    None => {
                        if process.done(&world, key, scenario)
                            && let Settled::Ended(end) = settle(&mut process, &world)
                        {
                            return (world, asked, Some(end), true);
                        }
                    }
                    Some(Fate::DiesBefore | Fate::DiesAfter) => return (world, asked, None, false),
                    Some(Fate::AnswerLost | Fate::NeverArrives) => {
                        if !process.unclear() {
                            return (world, asked, None, true);
                        }
                    }
                    Some(Fate::Refused) => {
                        if !process.refused() {
                            return (world, asked, None, true);
                        }
                    }
                }
            }
        }
    }
    unreachable!("a run has an end");
}

fn keys(world: &World, old: u8) -> String {
    let state = |key: u8| match world.key(key).state {
        ACTIVE => "Active",
        INACTIVE => "Inactive",
        _ => "gone",
    };
    let new = if world.key(old + 1).state == FREE {
        String::new()
    } else {
        format!(", new {}", state(old + 1))
    };
    format!("old {}{new}", state(old))
}

fn pair(world: &World, old: u8) -> String {
    let name = |key: u8| if key == old { "old" } else { "new" };
    let pair = world.pairs[0];
    if world.works(0).is_some() {
        format!("works, {}", name(pair.id.value))
    } else {
        format!(
            "torn: id {}, secret {}",
            name(pair.id.value),
            name(pair.secret.value)
        )
    }
}

fn done(acts: &[Act]) -> String {
    let words: Vec<&str> = acts
        .iter()
        .filter(|act| !matches!(act, Act::Verify(_)))
        .map(|act| request_words(*act))
        .collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

fn later(search: &Search<'_>, mut world: World, ticks: u8) -> World {
    for _ in 0..ticks {
        world.tick(search.scenario);
    }
    world
}

/// One table: from this world, every fate of every request of the run that follows.
fn table(text: &mut String, search: &Search<'_>, world: &World) {
    text.push_str("| request | what befalls it | that run ends | keys then | the pair then | the next run, minutes later | and once the waits are over |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let (_, plan, ..) = run(search, *world, None);
    for (number, act) in plan.iter().enumerate() {
        for fate in Fate::ALL {
            let sent = !matches!(act, Act::Verify(_) | Act::SwitchSigner(_));
            if !sent && !matches!(fate, Fate::DiesAfter) {
                continue;
            }
            let (after, _, end, alive) = run(search, *world, Some((number, fate)));
            let how = match (&end, alive) {
                (_, false) => "killed",
                (None, true) => "fails, with the reason",
                // The program ends with the remote's own words for it.
                (Some(Verdict::Incomplete(_)), true) if fate == Fate::Refused => "fails, with the reason",
                (Some(end), true) => ended(Some(end)),
            };
            let owner = after.pairs[0].secret.value;
            assert!(
                after.is(owner, ACTIVE),
                "{act:?} {fate:?}: the secret is that of an Active key"
            );
            let (next, acts, next_end, _) = run(search, after, None);
            let rested = later(search, next, search.scenario.marker_cap() + 1);
            let (last, last_acts, last_end, _) = run(search, rested, None);
            assert!(
                last.works(0).is_some(),
                "{act:?} {fate:?}: the pair works in the end"
            );
            let _ = writeln!(
                text,
                "| {} | {} | {how} | {} | {} | {}: {} | {}: {} |",
                request_words(*act),
                fate.words(),
                keys(&after, 0),
                pair(&after, 0),
                ended(next_end.as_ref()),
                done(&acts),
                ended(last_end.as_ref()),
                done(&last_acts),
            );
        }
    }
}

fn document() -> String {
    let mut text = String::from(
        "# What every failure leaves behind\n\n\
         Written by a test from the model in which the planner is proved (`planner/tests/failure_model.rs`); don't edit it.\n\n\
         One target, due at an age, grace 24 hours, deactivated keys deleted after a soak. *Torn* means that id and secret\n\
         belong to different keys: jobs that start then can't sign, jobs that run already are not affected. Both keys are Active\n\
         meanwhile, so the next run mends it with one write of a public id. In no row is the secret of the pair that of a key\n\
         that is Inactive or gone.\n\n\
         The words before the colons are the ends of runs as reports name them; after the colons stands what the run did.\n",
    );
    for (name, signer, hidden) in [
        ("signed by a role, the secret readable", Signer::Role, false),
        ("signed by a role, the secret hidden", Signer::Role, true),
        (
            "signed by the pair itself, the secret readable",
            Signer::Own(0),
            false,
        ),
        (
            "signed by the pair itself, the secret hidden",
            Signer::Own(0),
            true,
        ),
    ] {
        let scenario = Scenario {
            by_age: true,
            soak: true,
            ..Scenario::new("", signer, &[hidden])
        };
        let search = Search::new(&scenario, &planner::next);
        let begin = search.starts()[0];
        let _ = write!(text, "\n## A rotation, {name}\n\n");
        table(&mut text, &search, &begin);
        let (rotated, ..) = run(&search, begin, None);
        let rested = later(&search, rotated, scenario.marker_cap() - 1);
        let _ = write!(text, "\n## The grace is over, {name}\n\n");
        table(&mut text, &search, &rested);
        let (deactivated, ..) = run(&search, rested, None);
        let soaked = later(&search, deactivated, 1);
        let _ = write!(text, "\n## The soak is over, {name}\n\n");
        table(&mut text, &search, &soaked);
    }
    text
}

#[test]
fn the_failure_model_is_as_committed() {
    common::as_committed("../docs/failure-model.md", &document());
}
