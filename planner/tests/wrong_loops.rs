//! Wrong loops: the shipped one with one of its choices bent. Each is driven through the same world as the shipped loop, and
//! each must be caught by what is said of its conduct: a checker that can't lose proves nothing.

#![allow(
    clippy::print_stdout,
    clippy::panic,
    reason = "a test: it prints what was caught and fails with a trace"
)]

mod model;

use model::process::Loop;
use model::scenario::{Scenario, Signer};
use model::search::{Search, seen};
use planner::*;

/// How a loop is bent. Each field is the shipped behaviour unless it says otherwise.
#[derive(Clone, Copy, Default)]
struct Bent {
    /// Chances that a step without an answer has, in place of the shipped ones.
    chances: Option<u8>,
    forgets_refusals: bool,
    mends_nothing: bool,
    believes: Option<Extent>,
    keeps_proposals: bool,
    ignores_stops: bool,
    skips_pauses: bool,
    hears_nothing: bool,
}

impl Loop for Bent {
    fn turn(
        &self,
        run: &mut Reconciler,
        mut facts: Option<&mut Facts>,
        stopping: bool,
        policy: &Policy,
    ) -> Turn {
        if let Some(chances) = self.chances.filter(|_| !run.began) {
            run.chances = chances;
        }
        if self.forgets_refusals {
            run.refused = None;
        }
        let proposed = run.run.proposed;
        if let Some(facts) = &mut facts
            && !facts.full
        {
            facts.full = self.believes == Some(run.looking);
        }
        let left = TimeLeft::Ample;
        let mut turn = run.turn(facts, left, stopping && !self.ignores_stops, policy);
        if self.skips_pauses && matches!(turn, Turn::Pause(_)) {
            turn = run.turn(None, left, stopping, policy);
        }
        if self.keeps_proposals && matches!(turn, Turn::Perform(_)) {
            run.run.proposed = proposed;
        }
        turn
    }

    fn told(&self, run: &mut Reconciler, step: Step, told: Told) {
        run.torn &= !self.mends_nothing;
        if !self.hears_nothing {
            run.told(step, told);
        }
    }
}

/// One target, whose runs are asked to stop, fail to look and are refused, and whose conduct is judged.
fn world(signer: Signer, hidden: bool) -> Scenario {
    Scenario {
        faults: Some(4),
        conduct: true,
        looks_fail: true,
        stops: true,
        safety_only: true,
        lag: false,
        sts_fails: false,
        in_flight: 1,
        most_states: 1_500_000,
        ..Scenario::new("how a run goes about its work", signer, &[hidden])
    }
}

#[test]
fn the_shipped_loop_goes_about_its_work_as_it_should() {
    for (name, signer, hidden, immediate) in [
        ("conduct, role, readable", Signer::Role, false, false),
        ("conduct, self, hidden, grace 0", Signer::Own(0), true, true),
    ] {
        let scenario = Scenario {
            name,
            immediate,
            faults: Some(2),
            ..world(signer, hidden)
        };
        let report = Search::new(&scenario, &next).explore();
        println!("{}", report.figures(&scenario));
        if let Some(((which, how), steps, trace)) = report.broken {
            panic!("{name}: {which} is broken after {steps} events: {how}\n{trace}");
        }
        assert!(!report.truncated, "{name}: more states than expected");
    }
}

#[test]
fn every_wrong_loop_is_caught() {
    let shipped = Bent::default();
    let wrong = [
        (
            "repeats a refused step at once",
            Bent {
                forgets_refusals: true,
                ..shipped
            },
            "a refused step is sent again",
        ),
        (
            "gives a step one chance more",
            Bent {
                chances: Some(3),
                ..shipped
            },
            "a step without an answer is tried too often",
        ),
        (
            "gives a step one chance less",
            Bent {
                chances: Some(1),
                ..shipped
            },
            "a step without an answer is given up too soon",
        ),
        (
            "mends no torn pair",
            Bent {
                mends_nothing: true,
                ..shipped
            },
            "what failed is tried again without a pause",
        ),
        (
            "believes a partial look",
            Bent {
                believes: Some(Extent::Short),
                ..shipped
            },
            "a look that read half is believed at the end",
        ),
        (
            "believes an end on a folded look",
            Bent {
                believes: Some(Extent::Full),
                ..shipped
            },
            "an end is believed on answers alone",
        ),
        (
            "keeps a proposal over a step",
            Bent {
                keeps_proposals: true,
                ..shipped
            },
            "a key is removed on one look since the last step",
        ),
        (
            "ignores a stop between the halves",
            Bent {
                ignores_stops: true,
                ..shipped
            },
            "a run that was asked to stop begins something",
        ),
        (
            "skips a pause",
            Bent {
                skips_pauses: true,
                ..shipped
            },
            "what failed is tried again without a pause",
        ),
    ];
    let mut missed = Vec::new();
    for (name, bent, expected) in wrong {
        let caught = [false, true].into_iter().find_map(|immediate| {
            let scenario = Scenario {
                immediate,
                ..world(Signer::Role, false)
            };
            let report = Search::driven_by(&scenario, Box::new(bent)).explore();
            let ((_, how), steps, _) = report.broken?;
            println!("a loop that {name}: after {steps} events, {how}");
            (how == expected).then_some(())
        });
        if caught.is_none() {
            missed.push(name);
        }
    }
    assert_eq!(missed, [""; 0], "not caught, or for another reason");
}

/// A loop that hears nothing of what came of its steps is another program in each of these worlds.
#[test]
fn a_loop_that_hears_nothing_fails_in_every_world() {
    let deaf = Bent {
        hears_nothing: true,
        ..Bent::default()
    };
    for (signer, hidden) in [
        (Signer::Role, false),
        (Signer::Role, true),
        (Signer::Own(0), false),
        (Signer::Own(0), true),
    ] {
        for immediate in [false, true] {
            let scenario = Scenario {
                faults: Some(1),
                immediate,
                most_states: 200_000,
                ..Scenario::new("deaf", signer, &[hidden])
            };
            let report = Search::driven_by(&scenario, Box::new(deaf)).explore();
            // It breaks something, or it never comes to a rotation.
            let fault = report.broken.map(|((which, how), ..)| format!("{which}, {how}"));
            let idle = (report.seen & seen::ROTATED == 0).then(|| "no rotation completes".to_owned());
            let Some(fault) = fault.or(idle) else {
                panic!("{signer:?}, hidden {hidden}, grace 0 {immediate}: as good as the shipped one");
            };
            println!("a deaf loop, {signer:?}, hidden {hidden}, grace 0 {immediate}: {fault}");
        }
    }
}
