//! Every verdict there is, one of each kind, numbered. A new variant doesn't compile until it has its place here.

use planner::*;

use super::{NOW, id};

pub(crate) fn steps() -> [Step; 10] {
    let (key, target, prev) = (id("NEW"), 0, Some(id("OLD")));
    in_order(
        [
            Step::Journal,
            Step::Create,
            Step::Verify { key },
            Step::WriteSecret { target, key },
            Step::WriteId { target, key, prev },
            Step::SwitchSigner { key },
            Step::Deactivate { key },
            Step::Delete { key },
            Step::Undo { key },
            Step::CloseIntent,
        ],
        of_step,
    )
}

pub(crate) fn waits() -> [Wait; 7] {
    let (key, until) = (id("OLD"), NOW);
    in_order(
        [
            Wait::Grace { key, until },
            Wait::InUse { key, until },
            Wait::UseOfNewKey { key },
            Wait::Deletion { key, until },
            Wait::Quiet { until },
            Wait::Orphan { key, until },
            Wait::Unconfirmed { until },
        ],
        of_wait,
    )
}

pub(crate) fn blocks() -> [Block; 17] {
    let (key, target) = (id("NEW"), 0);
    in_order(
        [
            Block::Hold { target },
            Block::IncompleteRead { target },
            Block::OwnerUnknown { target },
            Block::KeyDisabled { target, key },
            Block::SlotOccupied { key },
            Block::Split { key },
            Block::HeldElsewhere { key },
            Block::Dead { target },
            Block::MissingVariable { target },
            Block::AllHidden,
            Block::ClocksDisagree,
            Block::LastUseUnknown { key },
            Block::Refused,
            Block::HalfPair { target },
            Block::WrongPlace { key },
            Block::JournalTaken,
            Block::CreateDenied,
        ],
        of_block,
    )
}

pub(crate) fn incompletes() -> [Incomplete; 7] {
    in_order(
        [
            Incomplete::Interrupted,
            Incomplete::OutOfTime,
            Incomplete::UnclearWrite,
            Incomplete::UnclearCreate,
            Incomplete::Unverified,
            Incomplete::Yielded,
            Incomplete::Unpublished { key: id("NEW") },
        ],
        of_incomplete,
    )
}

/// One verdict of each kind, in the order of their numbers, with what it is called.
pub(crate) fn verdicts() -> Vec<(String, Verdict)> {
    let step = |kind: &str, step: Step| format!("{kind} {}", step.word());
    let doing = steps().map(|it| (step("do", it), Verdict::Do(it)));
    let looking = steps().map(|it| (step("look", it), Verdict::Look(it)));
    let converged = [("converged".to_owned(), Verdict::Converged { until: None })];
    let waiting = waits().map(|it| (format!("wait {}", it.word()), Verdict::Wait(it)));
    let blocked = blocks().map(|it| (format!("blocked {}", it.word()), Verdict::Blocked(it)));
    let incomplete = incompletes().map(|it| (format!("incomplete {}", it.word()), Verdict::Incomplete(it)));
    let steps = doing.into_iter().chain(looking).chain(converged);
    in_order(
        steps
            .chain(waiting)
            .chain(blocked)
            .chain(incomplete)
            .collect::<Vec<_>>(),
        |(_, verdict)| number(verdict),
    )
}

/// The place of a verdict among [`verdicts`].
pub(crate) fn number(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Do(step) => of_step(step),
        Verdict::Look(step) => 10 + of_step(step),
        Verdict::Converged { .. } => 20,
        Verdict::Wait(wait) => 21 + of_wait(wait),
        Verdict::Blocked(block) => 28 + of_block(block),
        Verdict::Incomplete(why) => 45 + of_incomplete(why),
    }
}

fn of_step(step: &Step) -> usize {
    match step {
        Step::Journal => 0,
        Step::Create => 1,
        Step::Verify { .. } => 2,
        Step::WriteSecret { .. } => 3,
        Step::WriteId { .. } => 4,
        Step::SwitchSigner { .. } => 5,
        Step::Deactivate { .. } => 6,
        Step::Delete { .. } => 7,
        Step::Undo { .. } => 8,
        Step::CloseIntent => 9,
    }
}

fn of_wait(wait: &Wait) -> usize {
    match wait {
        Wait::Grace { .. } => 0,
        Wait::InUse { .. } => 1,
        Wait::UseOfNewKey { .. } => 2,
        Wait::Deletion { .. } => 3,
        Wait::Quiet { .. } => 4,
        Wait::Orphan { .. } => 5,
        Wait::Unconfirmed { .. } => 6,
    }
}

fn of_block(block: &Block) -> usize {
    match block {
        Block::Hold { .. } => 0,
        Block::IncompleteRead { .. } => 1,
        Block::OwnerUnknown { .. } => 2,
        Block::KeyDisabled { .. } => 3,
        Block::SlotOccupied { .. } => 4,
        Block::Split { .. } => 5,
        Block::HeldElsewhere { .. } => 6,
        Block::Dead { .. } => 7,
        Block::MissingVariable { .. } => 8,
        Block::AllHidden => 9,
        Block::ClocksDisagree => 10,
        Block::LastUseUnknown { .. } => 11,
        Block::Refused => 12,
        Block::HalfPair { .. } => 13,
        Block::WrongPlace { .. } => 14,
        Block::JournalTaken => 15,
        Block::CreateDenied => 16,
    }
}

fn of_incomplete(why: &Incomplete) -> usize {
    match why {
        Incomplete::Interrupted => 0,
        Incomplete::OutOfTime => 1,
        Incomplete::UnclearWrite => 2,
        Incomplete::UnclearCreate => 3,
        Incomplete::Unverified => 4,
        Incomplete::Yielded => 5,
        Incomplete::Unpublished { .. } => 6,
    }
}

/// What was listed, after a look whether each stands at its number.
fn in_order<L: AsRef<[T]>, T>(list: L, number: impl Fn(&T) -> usize) -> L {
    let listed = list.as_ref();
    assert!(listed.iter().map(number).eq(0..listed.len()));
    list
}
