//! The time that must be left to begin what has to be finished. It is added up from the bounds of the requests themselves,
//! so that a longer timeout moves it along.

use std::time::Duration;

use crate::{aws, gitlab};

/// How long a new key may take to become usable, beyond the settle time.
pub(super) const PROOF_BUDGET: Duration = Duration::from_secs(60);
/// What happens between requests, on the slowest of machines.
const BETWEEN: Duration = Duration::from_secs(2);
/// Both halves of a pair, each answered at the last moment. More attempts are made only while there is time for more.
const PAIR: Duration = gitlab::ANSWERED_WITHIN.saturating_mul(2);

/// What must be left of a run's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budgets {
    /// To create a key.
    pub(super) create: Duration,
    /// To begin any other step.
    pub(super) step: Duration,
}

impl Budgets {
    pub(super) fn of(settle: Duration, targets: usize) -> Budgets {
        Budgets {
            create: create_budget(settle, targets),
            step: step_budget(),
        }
    }
}

/// What a key takes from the request that creates it to the second half of its last pair, when each answer comes just before
/// it would be given up: creation, proof, the look before the first write, and both writes to each target.
pub fn create_budget(settle: Duration, targets: usize) -> Duration {
    let targets = u32::try_from(targets).unwrap_or(u32::MAX);
    let look = gitlab::ANSWERED_WITHIN.saturating_mul(targets) + aws::OPERATION;
    aws::CREATE + aws::longest_proof(settle, PROOF_BUDGET) + look + PAIR.saturating_mul(targets) + BETWEEN
}

/// What any other step takes: a pair that is begun is completed, and a request to AWS has all its attempts.
pub(super) fn step_budget() -> Duration {
    PAIR.max(aws::OPERATION) + BETWEEN
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PROOF_BUDGET, create_budget, step_budget};

    #[test]
    fn a_key_is_created_only_with_the_time_for_its_slowest_way_into_every_target() {
        let settle = Duration::from_secs(10);
        let one = create_budget(settle, 1);
        // 15 s for the answer of CreateAccessKey, 84 s for the proof, 8 s and 20 s for the look, 16 s for the pair.
        assert!(one >= Duration::from_secs(15 + 84 + 28 + 16), "{one:?}");
        assert_eq!(create_budget(settle, 2) - one, Duration::from_secs(8 + 16));
        assert_eq!(
            create_budget(settle * 2, 1) - one,
            settle * 2,
            "a row of acceptances may begin at the last moment"
        );
        assert!(one > PROOF_BUDGET + step_budget());
    }

    #[test]
    fn a_pair_is_begun_only_with_the_time_to_complete_it() {
        assert!(step_budget() >= Duration::from_secs(16));
    }

    #[test]
    fn every_rotation_fits_into_a_run() {
        // The longest settle time that settings take.
        let most = create_budget(Duration::from_secs(60), 2);
        assert!(most < crate::run::RUN_DEADLINE, "{most:?}");
        assert!(most + Duration::from_secs(2) < crate::lambda::ENOUGH, "{most:?}");
    }
}
