//! A new key is proved over the settle time before any of its secret is published.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::gitlab::Effect;
use testbed::lab::{Ran, Running};

use crate::{ID, SECRET, Signer, World, put, report};

const SETTLE: (&str, &str) = ("KEYTURN_SETTLE", "2s");

impl World {
    /// A run with a settle time, held up after the new key was created and before the run knows it; and that key's id.
    async fn creating(&self) -> (Running, String) {
        let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 2, "apply_first": true});
        self.lab.aws.fault(hold).await.unwrap();
        let run = self.begin(&[SETTLE]).await;
        until!(self.key_count().await == 2);
        let keys = self.lab.aws.keys(crate::USER).await.unwrap();
        let new = keys.into_iter().find(|key| key.id != self.lab.old.id).unwrap();
        (run, new.id)
    }

    /// What STS said of this key, question by question: the status, or the fault.
    async fn proofs(&self, key: &str) -> Vec<String> {
        let journal = self.lab.aws.control("GET", "journal", None).await.unwrap();
        let calls = journal.as_array().unwrap().iter();
        calls
            .filter(|call| call["action"] == "GetCallerIdentity" && call["key_id"] == key)
            .map(|call| match call["fault"].as_str() {
                Some(fault) => fault.to_owned(),
                None => call["status"].to_string(),
            })
            .collect()
    }

    /// The new key came to nothing: it is deleted, and the pair is the old one, which works.
    async fn is_as_before(&self, ran: &Ran, new: &str) {
        let keys = self.lab.aws.keys(crate::USER).await.unwrap();
        let left: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(left, [&self.lab.old.id], "{new} should be gone: {ran:?}");
        assert!(self.lab.pair() == self.lab.old && self.works().await, "{ran:?}");
        let written = self.lab.gitlab.journal().into_iter();
        let written = written
            .filter(|call| call.method != "GET" && [Some(ID), Some(SECRET)].contains(&call.key.as_deref()));
        assert_eq!(written.count(), 0, "{ran:?}");
    }
}

#[tokio::test]
async fn three_proofs_come_before_the_first_write() {
    for signer in [Signer::Own, Signer::Role] {
        let world = World::start(signer, false).await;
        let hold = Effect::Delay { millis: 2000 };
        world.lab.gitlab.fault(put(SECRET, hold));
        let run = world.begin(&[SETTLE]).await;
        until!(world.lab.gitlab.waiting_faults().is_empty());
        let keys = world.lab.aws.keys(crate::USER).await.unwrap();
        let new = keys.iter().find(|key| key.id != world.lab.old.id).unwrap();
        assert_eq!(world.proofs(&new.id).await, ["200", "200", "200"]);
        assert_eq!(world.lab.pair(), world.lab.old, "it was published already");
        world.ended(&run.wait().unwrap(), (0, "grace")).await;
    }
}

#[tokio::test]
async fn a_refusal_starts_the_row_anew() {
    let world = World::start(Signer::Role, false).await;
    let (run, new) = world.creating().await;
    let refusal = json!({"action": "GetCallerIdentity", "mode": "error", "signed_by": new, "skip": 1,
        "status": 403, "code": "InvalidClientTokenId", "message": "The security token included in the request is invalid."});
    world.lab.aws.fault(refusal).await.unwrap();
    let ran = run.wait().unwrap();
    let proofs = world.proofs(&new).await;
    assert_eq!(proofs, ["200", "error", "200", "200", "200"], "{ran:?}");
    world.ended(&ran, (0, "grace")).await;
}

/// It takes the settle time and the minute that a new key is given beyond it.
#[tokio::test]
async fn a_key_that_never_works_is_deleted_and_the_pair_is_kept() {
    let world = World::start(Signer::Role, false).await;
    let never = json!({"visible": Duration::from_secs(60 * 60).as_secs()});
    world.lab.aws.control("POST", "clock", Some(never)).await.unwrap();
    let (run, new) = world.creating().await;
    let ran = run.wait().unwrap();
    world.ended(&ran, (4, "unverified")).await;
    let proofs = world.proofs(&new).await;
    assert!(
        proofs.len() > 30 && proofs.iter().all(|said| said == "403"),
        "{proofs:?}"
    );
    let done = report(&ran)["rotations"][0]["steps"].clone();
    let steps: Vec<&Value> = done
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["step"])
        .collect();
    assert_eq!(steps, ["journal", "create", "delete"], "{ran:?}");
    world.is_as_before(&ran, &new).await;
    world.mend().await;
    world.heals(false).await;
}

#[tokio::test]
async fn a_key_of_somebody_else_is_deleted_and_the_pair_is_kept() {
    let world = World::start(Signer::Role, false).await;
    let (run, new) = world.creating().await;
    let somebody = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/somebody</Arn><UserId>AIDAEXAMPLE</UserId>\
        <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let answer = json!({"action": "GetCallerIdentity", "mode": "body", "signed_by": new, "status": 200,
        "content_type": "text/xml", "body": somebody});
    world.lab.aws.fault(answer).await.unwrap();
    let ran = run.wait().unwrap();
    world.ended(&ran, (4, "unverified")).await;
    let message = crate::word(&ran, "message");
    assert!(message.contains("user/somebody"), "{message}");
    world.is_as_before(&ran, &new).await;
}
