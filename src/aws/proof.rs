//! Whether a pair of id and secret works. GetCallerIdentity is the question: it needs no permission.

use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_sdk_sts::Client;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, DEFAULT_REGION};
use super::errors::Trouble;
use super::identity::{Caller, unanswered, who};
use super::transport::DateReader;
use crate::failure::Failure;
use crate::reason::Reason;
use crate::secret::KeyPair;

/// Acceptances in a row that make a proof: one data plane of IAM may know a key that the next one doesn't.
const IN_A_ROW: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(1);

/// The longest that [`Connection::prove`] takes: a row of acceptances that begins just before `settle` and `budget` are over
/// is waited out, and by then each answer is given up after a second.
pub fn longest_proof(settle: Duration, budget: Duration) -> Duration {
    settle.saturating_add(budget).saturating_add(settle) + PAUSE * 4
}

/// What STS says of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It works, for this caller.
    Accepted(Caller),
    /// The key is live and the secret is another's (`SignatureDoesNotMatch`).
    WrongSecret,
    /// The key is not live yet, Inactive, deleted or unknown (`InvalidClientTokenId`).
    NotAccepted,
    /// Nothing that says anything about the pair.
    Unclear(Failure),
}

/// Why a pair was not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// It was refused until the time was over.
    Refused(Failure),
    /// It works for another account or user.
    SomebodyElse(Failure),
    /// STS gave no answer that says anything.
    NoAnswer(Failure),
}

impl Unproved {
    /// The failure in words.
    pub fn into_failure(self) -> Failure {
        match self {
            Unproved::Refused(failure) | Unproved::SomebodyElse(failure) | Unproved::NoAnswer(failure) => {
                failure
            }
        }
    }
}

impl Connection {
    /// Asks once whose this pair is.
    pub async fn ask(&self, pair: &KeyPair) -> Answer {
        match who(&self.asker(pair, self.region())).await {
            Ok(caller) => Answer::Accepted(caller),
            Err(trouble) if trouble.is_wrong_secret() => Answer::WrongSecret,
            Err(trouble) if trouble.is_unknown_key() => Answer::NotAccepted,
            Err(trouble) => Answer::Unclear(unanswered(&trouble, self.region_is_default())),
        }
    }

    /// Waits until the pair is accepted for good: three times in a row, spread over `settle`, by the region's STS and by
    /// us-east-1's in turn. A refusal starts the row anew. With no time to settle one acceptance by each is enough.
    /// How long that may take, [`longest_proof`] says.
    pub async fn prove(
        &self,
        pair: &KeyPair,
        account: &str,
        user: &str,
        settle: Duration,
        budget: Duration,
    ) -> Result<(), Unproved> {
        let id = pair.id;
        let mut places: Vec<(&str, Client)> = vec![(self.region(), self.asker(pair, self.region()))];
        if !self.has_sts_endpoint() && is_commercial(self.region()) && self.region() != DEFAULT_REGION {
            places.push((DEFAULT_REGION, self.asker(pair, DEFAULT_REGION)));
        }
        let deadline = Instant::now() + settle.saturating_add(budget);
        let (mut accepted, mut turn, mut refusals) = (0_usize, 0_usize, 0_u32);
        loop {
            let wanted = if settle.is_zero() { places.len() } else { IN_A_ROW };
            if accepted >= wanted {
                return Ok(());
            }
            let at = turn.checked_rem(places.len()).unwrap_or(0);
            let Some((place, client)) = places.get(at) else {
                return Ok(());
            };
            let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
            let answer = timeout(left, who(client))
                .await
                .unwrap_or(Err(Trouble::Timeout { never_sent: false }));
            let (pause, last) = match answer {
                Ok(caller) if caller.account == account && caller.user() == Some(user) => {
                    accepted = accepted.saturating_add(1);
                    turn = turn.saturating_add(1);
                    if accepted >= wanted {
                        return Ok(());
                    }
                    let pause = if settle.is_zero() {
                        Duration::ZERO
                    } else {
                        settle / 2
                    };
                    (pause, None)
                }
                Ok(caller) => {
                    return Err(Unproved::SomebodyElse(Failure::of(
                        Reason::KeyOfSomebodyElse,
                        format!(
                            "access key {id} was not proved: it is of {}, not of the user {user}",
                            caller.arn
                        ),
                    )));
                }
                Err(trouble) if trouble.is_unknown_key() || trouble.is_wrong_secret() => {
                    accepted = 0;
                    refusals = refusals.saturating_add(1);
                    let why = format!(
                        "access key {id} was not proved: AWS did not accept it within the time given"
                    );
                    let pause = if refusals == 1 { FIRST_PAUSE } else { PAUSE };
                    (
                        pause,
                        Some(Unproved::Refused(Failure::incomplete(
                            Reason::KeyNotAccepted,
                            why,
                        ))),
                    )
                }
                Err(trouble) => {
                    let failure = unanswered(&trouble, self.region_is_default());
                    if places.len() > 1 && !trouble.is_momentary() {
                        tracing::warn!("STS in {place} is left out of the proof of {id}: {failure}");
                        places.remove(at);
                        turn = 0;
                        continue;
                    }
                    if !trouble.is_momentary()
                        && trouble.is_certain()
                        && failure.class == crate::failure::Class::Blocked
                    {
                        return Err(Unproved::NoAnswer(failure));
                    }
                    (PAUSE, Some(Unproved::NoAnswer(failure)))
                }
            };
            // An acceptance may be waited out a little longer than planned; a refusal may not.
            if let Some(unproved) = last
                && Instant::now() + pause > deadline
            {
                return Err(unproved);
            }
            sleep(pause).await;
        }
    }

    /// A client of its own for each place and pair: clients cache what they sign with. It repeats a question once, which
    /// also lets it correct a local clock that is wrong.
    fn asker(&self, pair: &KeyPair, region: &str) -> Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config_of(pair))
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .interceptor(DateReader(self.clock().clone()))
            .build();
        Client::from_conf(config)
    }
}

/// Whether a region is of the partition `aws`, whose keys us-east-1 knows.
fn is_commercial(region: &str) -> bool {
    !["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"]
        .iter()
        .any(|other| region.starts_with(other))
}

#[cfg(test)]
mod tests {
    use super::is_commercial;

    #[test]
    fn only_regions_of_the_partition_aws_share_keys_with_us_east_1() {
        assert!(is_commercial("eu-central-1") && is_commercial("us-west-2") && is_commercial("aws-global"));
        for region in ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-isob-east-1"] {
            assert!(!is_commercial(region), "{region}");
        }
    }
}
