//! The real binary under fire: each request of each kind of run, struck by each kind of failure, a thousand times over.
//! Whatever happened, the pair that GitLab holds works after at most two runs, goes on working, and the rotation ends.
//!
//! It takes minutes. `KEYTURN_FIRE=only=TEXT` runs the cases whose label contains the text; a violation prints its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod case;
mod fault;
mod gate;
mod judge;
mod range;
mod scene;
mod truth;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Case, MOST_RUNS, processes};
use crate::fault::Fault;
use crate::gate::{Call, lock};
use crate::range::Range;
use crate::scene::Scene;

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Pairs of stand-ins: one for each scene that is played at a time.
const RANGES: usize = 3;
/// Processes at a time in one range, besides those that wait for a slow fault.
const AT_A_TIME: usize = 12;
/// How often two runs begin together, in each scene in which a key is created.
const TOGETHER: usize = 10;

#[test]
#[ignore = "takes minutes: make fire"]
fn whatever_befalls_a_request_the_pair_works_and_the_rotation_ends() {
    let began = Instant::now();
    let only = only();
    let waiting = Mutex::new(Scene::all().into_iter());
    let (played, violations) = (Mutex::new(Vec::new()), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..RANGES {
            scope.spawn(|| {
                let range = Arc::new(Range::start());
                loop {
                    let next = lock(&waiting).next();
                    let Some(scene) = next else { return };
                    let (requests, cases) = play(scene, &range, only.as_deref());
                    for violation in cases.iter().filter_map(Case::violation) {
                        // At once: what comes after may take minutes.
                        println!("VIOLATION {violation}\n");
                        *lock(&violations) += 1;
                    }
                    lock(&played).push((requests, cases.len()));
                }
            });
        }
    });
    let (played, violations) = (lock(&played), lock(&violations));
    let (requests, cases) = played.iter().fold((0, 0), |(all, struck), (requests, cases)| {
        (all + requests, struck + cases)
    });
    let (runs, killed) = processes();
    println!(
        "{} scenes, {requests} requests, {cases} faults, {runs} runs, {killed} processes killed, {} violations, {:.0?}",
        played.len(),
        *violations,
        began.elapsed()
    );
    assert_eq!(*violations, 0);
    if only.is_none() {
        assert_eq!(played.len(), Scene::all().len());
        assert!(killed > 1000, "only {killed} processes were killed");
        assert!(cases > 3000, "only {cases} cases");
    } else {
        assert!(cases > 0, "no case has this label");
    }
}

/// Everything that can befall the run of one scene, and how many requests it has. Its cases share a clock, so they go
/// on in step.
fn play(scene: Scene, range: &Arc<Range>, only: Option<&str>) -> (usize, Vec<Case>) {
    let began = Instant::now();
    range.reset();
    let photograph = scene.prepare(range);
    let count = Case::new(scene, 0, None, photograph.copy(&scene, range, "counted")).run(scene.command());
    assert_eq!(count.code, Some(0), "{}: {count:?}", scene.name());
    let mut cases: Vec<Case> = plan(scene, &count.calls)
        .into_iter()
        .enumerate()
        .map(|(at, (number, fault))| {
            let label = format!("{}/{number}/{fault}", scene.name());
            (at, number, fault, label)
        })
        .filter(|(.., label)| only.is_none_or(|only| label.contains(only)))
        .map(|(at, number, fault, _)| {
            let truth = photograph.copy(&scene, range, &format!("deploy-{at}"));
            Case::new(scene, number, Some(fault), truth)
        })
        .collect();
    let set_up = began.elapsed();
    strike(&mut cases);
    let struck = began.elapsed();
    side_by_side(cases.iter_mut(), Case::heal);
    // An orphan's hour; then grace after grace, until all are over.
    range.advance(HOUR + MINUTE * 5);
    side_by_side(cases.iter_mut(), |case| case.go_on(true));
    for round in 0..MOST_RUNS {
        if cases.iter().all(|case| case.over) {
            break;
        }
        let later = if round.is_multiple_of(2) {
            HOUR * 25
        } else {
            DAY * 8
        };
        range.advance(if scene.immediate { HOUR * 25 } else { later });
        side_by_side(cases.iter_mut(), |case| {
            if !case.over {
                case.go_on(false);
            }
        });
    }
    println!(
        "{:40} {:3} requests, {:4} cases: set up {:.1?}, struck {:.1?}, healed {:.1?}",
        scene.name(),
        count.calls.len(),
        cases.len(),
        set_up,
        struck - set_up,
        began.elapsed() - struck,
    );
    (count.calls.len(), cases)
}

/// The requests of a clean run, each with all that can befall it.
fn plan(scene: Scene, calls: &[Call]) -> Vec<(usize, Fault)> {
    let mut plan = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        if scene.has_slow_faults() {
            plan.extend(Fault::SLOW.map(|fault| (at + 1, fault)));
        } else if call.writes {
            plan.push((at + 1, Fault::Stall));
        }
    }
    if scene.rotates() {
        plan.extend((1..=TOGETHER).map(|number| (number, Fault::Together)));
    }
    for (at, call) in calls.iter().enumerate() {
        plan.extend(Fault::QUICK.map(|fault| (at + 1, fault)));
        if call.writes {
            plan.extend(Fault::OF_WRITES.map(|fault| (at + 1, fault)));
        }
    }
    plan
}

/// The slow ones have a thread each, because they only wait.
fn strike(cases: &mut [Case]) {
    let (slow, quick): (Vec<_>, Vec<_>) = cases.iter_mut().partition(|case| case.is_slow());
    thread::scope(|scope| {
        for case in slow {
            scope.spawn(|| case.strike());
        }
        side_by_side(quick.into_iter(), Case::strike);
    });
}

fn side_by_side<'a>(cases: impl Iterator<Item = &'a mut Case> + Send, act: impl Fn(&mut Case) + Sync) {
    let waiting = Mutex::new(cases);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = lock(&waiting).next();
                    let Some(case) = next else { return };
                    act(case);
                }
            });
        }
    });
}

#[allow(clippy::disallowed_methods, reason = "the test's own choice of cases")]
fn only() -> Option<String> {
    let chosen = std::env::var("KEYTURN_FIRE").ok()?;
    Some(chosen.strip_prefix("only=").unwrap_or(&chosen).to_owned())
}
