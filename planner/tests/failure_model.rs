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

use model::process::{Act, Phase, Process, Settled, id};
use model::scenario::{Scenario, Signer};
use model::search::Search;
use model::world::*;
use planner::{Cause, End, Told};

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

/// What the keys of a table are called, by their numbers.
type Names = &'static [&'static str];

const ROTATING: Names = &["old", "new"];
const AFTER_AN_ORPHAN: Names = &["old", "orphan", "new"];

/// A request that was decided.
#[derive(Clone, Copy)]
struct Asked {
    act: Act,
    /// It is about a key that no target ever held.
    orphan: bool,
}

fn request_words(Asked { act, orphan }: Asked, targets: usize) -> String {
    let words = match act {
        Act::Journal => "write the intent",
        Act::CloseIntent => "close the intent",
        Act::Create => "create the new key",
        Act::Verify(_) => "prove the new key",
        Act::WriteSecret(..) => "write the secret",
        Act::WriteId(..) => "write the id",
        Act::SwitchSigner(_) => "sign with the new key",
        Act::Deactivate(_) => "deactivate the old key",
        Act::Delete(_) if orphan => "delete the orphan",
        Act::Delete(_) => "delete the old key",
        Act::Undo(_) => "delete the new key again",
        Act::None => "nothing",
    };
    match act {
        Act::WriteSecret(target, _) | Act::WriteId(target, ..) if targets > 1 => {
            format!("{words} in the {}", place(target.into()))
        }
        _ => words.to_owned(),
    }
}

fn place(target: usize) -> &'static str {
    ["first", "second"][target]
}

fn ended(end: Option<&End>) -> &'static str {
    end.map_or("no credential", End::word)
}

/// Runs one process to its end. The fate befalls the request with this number; what was asked of each is noted.
fn run(
    search: &Search<'_>,
    mut world: World,
    fate: Option<(usize, Fate)>,
) -> (World, Vec<Asked>, Option<End>, bool) {
    let (scenario, policy, looper) = (search.scenario, &search.policy, &*search.looper);
    let mut asked = Vec::new();
    let Some(mut process) = Process::start(&world, scenario) else {
        return (world, asked, None, true);
    };
    for _ in 0..200 {
        let settled = match process.phase {
            Phase::Read(target) => {
                process.read(&world, scenario, target, false);
                continue;
            }
            Phase::List | Phase::Decide => {
                process.list(&world, 0);
                process.settle(&world, scenario, policy, looper, false)
            }
            Phase::Send => {
                let orphan = matches!(process.act, Act::Delete(key) if !world.key(key).published);
                asked.push(Asked {
                    act: process.act,
                    orphan,
                });
                let fate = fate
                    .filter(|(number, _)| *number + 1 == asked.len())
                    .map(|(_, fate)| fate);
                if fate == Some(Fate::DiesBefore) {
                    return (world, asked, None, false);
                }
                let mut key = NONE;
                match process.request(&world, scenario) {
                    Some(request) if !matches!(fate, Some(Fate::NeverArrives | Fate::Refused)) => {
                        key = world.apply(&request, scenario);
                    }
                    Some(_) => {}
                    None => {
                        if let Act::Verify(key) = process.act
                            && let Some(key) = world.keys.get_mut(usize::from(key))
                        {
                            key.proved = true;
                        }
                        process.switched();
                    }
                }
                let told = match fate {
                    Some(Fate::DiesBefore | Fate::DiesAfter) => return (world, asked, None, false),
                    Some(Fate::AnswerLost | Fate::NeverArrives) => Told::Unknown(Cause::Passing),
                    Some(Fate::Refused) => Told::Refused(Cause::Lasting),
                    None if process.act == Act::Create => Told::Created(id(key)),
                    None => Told::Done,
                };
                process.told(&world, scenario, policy, looper, told)
            }
        };
        if let Settled::Ended(end) = settled {
            return (world, asked, Some(end), true);
        }
    }
    unreachable!("a run has an end");
}

fn keys(world: &World, names: Names) -> String {
    let state = |key: u8| match world.key(key).state {
        ACTIVE => "Active",
        INACTIVE => "Inactive",
        _ => "gone",
    };
    let there = (0..KEYS).map(small).filter(|key| world.key(*key).state != FREE);
    let each: Vec<String> = there
        .map(|key| format!("{} {}", names[usize::from(key)], state(key)))
        .collect();
    each.join(", ")
}

fn pair(world: &World, target: usize, names: Names) -> String {
    let name = |key: u8| names[usize::from(key)];
    let pair = world.pairs[target];
    if world.works(target).is_some() {
        format!("works, {}", name(pair.id.value))
    } else {
        format!(
            "torn: id {}, secret {}",
            name(pair.id.value),
            name(pair.secret.value)
        )
    }
}

fn pairs(world: &World, targets: usize, names: Names) -> String {
    if targets == 1 {
        return pair(world, 0, names);
    }
    let each: Vec<String> = (0..targets)
        .map(|target| format!("{} {}", place(target), pair(world, target, names)))
        .collect();
    each.join("; ")
}

fn done(asked: &[Asked], targets: usize) -> String {
    let words: Vec<String> = asked
        .iter()
        .filter(|asked| !matches!(asked.act, Act::Verify(_)))
        .map(|asked| request_words(*asked, targets))
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
fn table(text: &mut String, search: &Search<'_>, world: &World, names: Names) {
    let targets = search.scenario.hidden.len();
    text.push_str("| request | what befalls it | that run ends | keys then | the pair then | the next run, minutes later | and once the waits are over |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let (_, plan, ..) = run(search, *world, None);
    for (number, asked) in plan.iter().enumerate() {
        let act = asked.act;
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
                (Some(End::Failed(_)), true) => "fails, with the reason",
                (Some(end), true) => ended(Some(end)),
            };
            for pair in &after.pairs[..targets] {
                assert!(
                    after.is(pair.secret.value, ACTIVE),
                    "{act:?} {fate:?}: the secret is that of an Active key"
                );
            }
            let (next, acts, next_end, _) = run(search, after, None);
            let rested = later(search, next, search.scenario.marker_cap() + 1);
            let (last, last_acts, last_end, _) = run(search, rested, None);
            assert!(
                last.works(0).is_some() && (0..targets).all(|target| last.works(target) == last.works(0)),
                "{act:?} {fate:?}: the pair works in the end"
            );
            let _ = writeln!(
                text,
                "| {} | {} | {how} | {} | {} | {}: {} | {}: {} |",
                request_words(*asked, targets),
                fate.words(),
                keys(&after, names),
                pairs(&after, targets, names),
                ended(next_end.as_ref()),
                done(&acts, targets),
                ended(last_end.as_ref()),
                done(&last_acts, targets),
            );
        }
    }
}

fn document() -> String {
    let mut text = String::from(
        "# What every failure leaves behind\n\n\
         Written by a test from the model in which the planner is proved (`planner/tests/failure_model.rs`); don't edit it.\n\n\
         One target, due at an age, grace 24 hours, deactivated keys deleted after a soak, where nothing else is said. *Torn*\n\
         means that id and secret belong to different keys: jobs that start then can't sign, jobs that run already are not\n\
         affected. Both keys are Active meanwhile, so the next run mends it with one write of a public id. In no row is the secret\n\
         of a pair that of a key that is Inactive or gone.\n\n\
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
        table(&mut text, &search, &begin, ROTATING);
        let (rotated, ..) = run(&search, begin, None);
        let rested = later(&search, rotated, scenario.marker_cap() - 1);
        let _ = write!(text, "\n## The grace is over, {name}\n\n");
        table(&mut text, &search, &rested, ROTATING);
        let (deactivated, ..) = run(&search, rested, None);
        let soaked = later(&search, deactivated, 1);
        let _ = write!(text, "\n## The soak is over, {name}\n\n");
        table(&mut text, &search, &soaked, ROTATING);
    }
    let usual = Scenario {
        by_age: true,
        soak: true,
        ..Scenario::new("", Signer::Own(0), &[true])
    };
    let search = Search::new(&usual, &planner::next);
    let begin = search.starts()[0];
    let cut_at = |wanted: fn(&Act) -> bool| {
        let (_, plan, ..) = run(&search, begin, None);
        let number = plan.iter().position(|asked| wanted(&asked.act));
        run(&search, begin, number.map(|number| (number, Fate::DiesAfter))).0
    };
    let torn = cut_at(|act| matches!(act, Act::WriteSecret(..)));
    text.push_str(
        "\n## A run was killed between the two writes, signed by the pair itself, the secret hidden\n\n",
    );
    table(&mut text, &search, &torn, ROTATING);
    let orphaned = cut_at(|act| matches!(act, Act::Create));
    let orphaned = later(&search, orphaned, usual.marker_cap() + 1);
    text.push_str("\n## A run was killed after it created a key, the grace ago, signed by the pair itself, the secret hidden\n\n");
    table(&mut text, &search, &orphaned, AFTER_AN_ORPHAN);

    let immediate = Scenario {
        immediate: true,
        soak: false,
        ..usual.clone()
    };
    let search = Search::new(&immediate, &planner::next);
    text.push_str(
        "\n## A rotation with a grace of zero and no soak, signed by the pair itself, the secret hidden\n\n",
    );
    table(&mut text, &search, &search.starts()[0], ROTATING);

    let two = Scenario {
        by_age: true,
        soak: true,
        ..Scenario::new("", Signer::Role, &[false, false])
    };
    let search = Search::new(&two, &planner::next);
    text.push_str("\n## A rotation of two targets, signed by a role, the secrets readable\n\n");
    table(&mut text, &search, &search.starts()[0], ROTATING);
    text
}

#[test]
fn the_failure_model_is_as_committed() {
    common::as_committed("../docs/failure-model.md", &document());
}
