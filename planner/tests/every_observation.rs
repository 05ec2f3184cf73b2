//! Every decision on every observation of a domain of millions, held to laws that are written from the promise and not
//! from the rules; and wrong planners, each of which these laws catch.

mod common;
mod observation;

use std::fmt;
use std::ops::ControlFlow;

use common::HOUR;
use observation::domain::{SLICES, Slice, at_the_ends};
use observation::laws;
use observation::memory::recall;
use observation::shapes::uses;
use observation::tally::Tally;
use observation::wrong::{self, PLANNERS};
use planner::*;

type Planner<'a> = &'a (dyn Fn(&Facts, &Policy) -> Verdict + Sync);

/// A decision that breaks a law.
struct Breach {
    law: &'static str,
    facts: Facts,
    policy: Policy,
    verdict: Verdict,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts {
            clocks,
            full,
            keys,
            targets,
            elsewhere,
            journal,
            alone,
            passing: _,
            run,
        } = &self.facts;
        writeln!(f, "{}; yet: {}", self.law, common::words(&self.verdict))?;
        writeln!(f, "  {:?}", self.verdict)?;
        writeln!(
            f,
            "  {clocks:?}, full: {full}, {journal:?}, alone: {alone}, elsewhere: {elsewhere:?}"
        )?;
        for key in keys {
            writeln!(f, "  {key:?}")?;
        }
        for target in targets {
            match target {
                Target::Seen(Pair { id, secret, hold }) => {
                    writeln!(f, "  {id:?}\n  {secret:?}, hold: {hold}")?
                }
                Target::Unread => writeln!(f, "  Unread")?,
            }
        }
        write!(f, "  {run:?}\n  {:?}", self.policy)
    }
}

/// Decides, judges, and where a second look is asked for takes it: a full one, which must confirm the step, and one that
/// is not full, which must not.
fn judge(facts: &mut Facts, policy: &Policy, planner: Planner<'_>, tally: &mut Tally) -> Option<Box<Breach>> {
    tally.observe();
    let decide = |facts: &Facts, tally: &mut Tally| {
        let verdict = planner(facts, policy);
        tally.count(&verdict);
        let breach = |law| {
            Box::new(Breach {
                law,
                facts: facts.clone(),
                policy: *policy,
                verdict,
            })
        };
        (verdict, laws::broken(facts, policy, verdict).map(breach))
    };
    let (verdict, breach) = decide(facts, tally);
    if let Verdict::Wait(wait) = verdict {
        return breach.or_else(|| outlasted(facts, policy, planner, wait, tally));
    }
    let Verdict::Look(step) = verdict else {
        return breach;
    };
    breach.or_else(|| {
        facts.run.proposed = Some(step);
        let (confirmed, breach) = decide(facts, tally);
        let differs = (confirmed != Verdict::Do(step)).then(|| {
            let law = "two looks that agree are enough";
            Box::new(Breach {
                law,
                facts: facts.clone(),
                policy: *policy,
                verdict: confirmed,
            })
        });
        facts.full = false;
        let (_, partial) = decide(facts, tally);
        facts.full = true;
        facts.run.proposed = None;
        breach.or(differs).or(partial)
    })
}

/// How many waits for one thing may follow each other: for the age of an orphan, then for its grace, then for its deletion.
const WAITS: usize = 4;

/// What is waited for comes: when nothing changes meanwhile, later runs do not wait for it again and again.
fn outlasted(
    facts: &Facts,
    policy: &Policy,
    planner: Planner<'_>,
    wait: Wait,
    tally: &mut Tally,
) -> Option<Box<Breach>> {
    let mut until = laws::end(facts, wait)?;
    let mut later = facts.clone();
    for _ in 0..WAITS {
        let Clocks { aws, gitlab } = later.clocks;
        let passed = until.0 - aws.0.min(gitlab.0);
        later.clocks = Clocks {
            aws: Timestamp(aws.0 + passed),
            gitlab: Timestamp(gitlab.0 + passed),
        };
        recall(&mut later);
        let verdict = planner(&later, policy);
        tally.count(&verdict);
        let Verdict::Wait(next) = verdict else { return None };
        if std::mem::discriminant(&next) != std::mem::discriminant(&wait) {
            return None;
        }
        until = laws::end(&later, next)?;
    }
    let verdict = Verdict::Wait(wait);
    Some(Box::new(Breach {
        law: "a wait comes to its end",
        facts: facts.clone(),
        policy: *policy,
        verdict,
    }))
}

/// What a visit found: how often which verdict, and the first breach of each law.
struct Found {
    tally: Tally,
    breaches: Vec<Breach>,
}

fn visit(slice: Slice, planner: Planner<'_>) -> Found {
    let mut found = Found {
        tally: Tally::new(),
        breaches: Vec::new(),
    };
    let _ = slice(&mut |facts, policy| {
        let Some(breach) = judge(facts, policy, planner, &mut found.tally) else {
            return ControlFlow::Continue(());
        };
        if !found.breaches.iter().any(|known| known.law == breach.law) {
            found.breaches.push(*breach);
        }
        ControlFlow::Continue(())
    });
    found
}

#[test]
fn no_decision_on_any_observation_breaks_a_law() {
    let results: Vec<(&str, Found)> = std::thread::scope(|scope| {
        let spawn = |(name, slice)| (name, scope.spawn(move || visit(slice, &next)));
        let threads: Vec<_> = SLICES.into_iter().map(spawn).collect();
        threads
            .into_iter()
            .map(|(name, thread)| (name, thread.join().unwrap()))
            .collect()
    });
    let mut all = Tally::new();
    for (name, found) in &results {
        println!("{:>9}  {name}", found.tally.observations());
        all.add(&found.tally);
    }
    println!(
        "every observation: {} observations, {} decisions",
        all.observations(),
        all.decisions()
    );
    for (kind, count) in all.rows() {
        println!("{count:>9}  {kind}");
    }
    let breaches: Vec<String> = results
        .iter()
        .flat_map(|(_, found)| &found.breaches)
        .map(|b| b.to_string())
        .collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n\n"));
    assert_eq!(all.surprises(), [""; 0], "never seen, or seen and never expected");
}

#[test]
fn each_wrong_planner_breaks_the_law_that_is_there_for_it() {
    let (some, others) = PLANNERS.split_at(PLANNERS.len() / 2);
    let results: Vec<(String, Option<&str>)> = std::thread::scope(|scope| {
        let halves = [some, others].map(|half| scope.spawn(|| half.iter().map(tried).collect::<Vec<_>>()));
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    for (line, _) in &results {
        println!("{line}");
    }
    let missed: Vec<&str> = results.iter().filter_map(|(_, missed)| *missed).collect();
    assert_eq!(missed, [""; 0], "no law catches these");
    println!("every observation: {} wrong planners caught", results.len());
}

/// What is to be said of a wrong planner, and its fault when it goes through the whole domain without breaking its law.
fn tried((fault, planner, law): &(&'static str, wrong::Planner, &str)) -> (String, Option<&'static str>) {
    let mut tally = Tally::new();
    let caught = SLICES.into_iter().any(|(_, slice)| {
        let stop = slice(
            &mut |facts, policy| match judge(facts, policy, planner, &mut tally) {
                Some(breach) if breach.law == *law => ControlFlow::Break(()),
                Some(_) | None => ControlFlow::Continue(()),
            },
        );
        stop.is_break()
    });
    let line = format!(
        "{:>8} observations until \"{law}\" is broken by a planner that {fault}",
        tally.observations()
    );
    (line, (!caught).then_some(*fault))
}

#[test]
fn the_ends_of_time_are_decided_like_any_other() {
    let mut decided = 0_u64;
    let _ = at_the_ends(&mut |facts, policy| {
        let _ = next(facts, policy);
        decided += 1;
        ControlFlow::Continue(())
    });
    println!("{decided:>9}  observations at the ends of time");
    assert!(decided > 10_000);
}

type Asks = fn(&Facts, &Policy, KeyId) -> bool;

/// How many decisions were compared until one differs that should not: the same observation, with each use that a key can
/// have which is not asked about.
fn unasked(asks: Asks) -> (u64, Option<Box<Facts>>) {
    let (mut compared, mut differs) = (0, None);
    for (_, slice) in SLICES {
        let _ = slice(&mut |facts, policy| {
            let decided = next(facts, policy);
            for key in facts.keys.iter().map(|key| key.id) {
                if asks(facts, policy, key) {
                    continue;
                }
                for used in uses(HOUR) {
                    let other = used_otherwise(facts, key, used);
                    compared += 1;
                    if next(&other, policy) != decided {
                        differs = Some(Box::new(other));
                        return ControlFlow::Break(());
                    }
                }
            }
            ControlFlow::Continue(())
        });
        if differs.is_some() {
            break;
        }
    }
    (compared, differs)
}

fn used_otherwise(facts: &Facts, key: KeyId, last_used: LastUsed) -> Facts {
    let mut facts = facts.clone();
    for other in facts.keys.iter_mut().filter(|other| other.id == key) {
        other.last_used = last_used;
    }
    facts
}

#[test]
fn a_last_use_that_is_not_asked_for_makes_no_difference() {
    let (compared, differs) = unasked(|facts, policy, key| last_use_matters(&facts.targets, policy, key));
    println!("{compared:>9}  decisions the same whatever a use that is not asked for");
    assert!(differs.is_none(), "{differs:?}");
    assert!(compared > 1_000_000);
    let wrong: [(&str, Asks); 3] = [
        ("asks never", |_, _, _| false),
        ("asks only where there is a grace", |_, policy, _| {
            !policy.immediate()
        }),
        ("asks only about keys that nothing names", |facts, _, key| {
            !facts.pairs().any(|(_, pair)| pair.id_key() == Some(key))
        }),
    ];
    for (fault, asks) in wrong {
        let (compared, differs) = unasked(asks);
        println!("{compared:>9}  decisions until one differs for who {fault}");
        assert!(differs.is_some(), "no decision differs for who {fault}");
    }
}
