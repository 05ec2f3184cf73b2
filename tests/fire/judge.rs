//! The judge itself: what it must call a violation, and what not. Without this a thousand cases could pass unseen.

use std::sync::Arc;
use std::time::Duration;

use testbed::gitlab::Variable;
use testbed::message::{Request, Response};

use crate::gate::Host;
use crate::range::Range;
use crate::scene::{Scene, Signer, Start};
use crate::truth::Truth;
use crate::{HOUR, ID, SECRET};

/// A rotation with a key in use and another beside it.
struct Stand {
    range: Arc<Range>,
    truth: Truth,
    held: String,
}

fn stand(range: &Arc<Range>, immediate: bool) -> Stand {
    range.reset();
    let scene = Scene {
        signer: Signer::Role,
        hidden: false,
        immediate,
        start: Start::Adoption,
    };
    let truth = scene.prepare(range).copy(&scene, range, "judged");
    let held = truth.pair().id;
    Stand {
        range: Arc::clone(range),
        truth,
        held,
    }
}

impl Stand {
    /// As a rotation does it: both halves of another key.
    fn turn(&self) {
        let new = self
            .range
            .add_key(&self.truth.user, HOUR.as_secs().cast_signed(), "Active", None);
        self.truth.keys();
        for (name, value) in [(ID, new.id), (SECRET, new.secret)] {
            self.write(name, &value);
        }
    }

    fn write(&self, name: &str, value: &str) {
        self.judge(Host::GitLab, "PUT", "", 200, || {
            let group = self.truth.group;
            self.range
                .gitlab
                .world(|world| world.set_variable(group, Variable::credential(name, value)));
        });
    }

    fn remove(&self, action: &str, status: u16) {
        let body = format!("Action={action}&AccessKeyId={}&Status=Inactive", self.held);
        self.judge(Host::Aws, "POST", &body, status, || {});
    }

    fn judge(&self, host: Host, method: &str, body: &str, status: u16, change: impl FnOnce()) {
        let length = body.len();
        let request = format!("{method} / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
        let answered = self
            .truth
            .judged(host, &Request::of(request.as_bytes()).unwrap(), || {
                change();
                Response::read(&mut Response::made(status, &[], b"").as_slice())
            });
        assert_eq!(answered.unwrap().status, status);
    }

    fn violations(&self) -> usize {
        self.truth.violations().len()
    }
}

#[test]
fn taking_a_key_from_a_target_or_from_a_running_job_is_a_violation() {
    let range = Arc::new(Range::start());
    for action in ["UpdateAccessKey", "DeleteAccessKey"] {
        let held = stand(&range, true);
        held.remove(action, 403);
        assert_eq!(held.violations(), 0, "it was refused");
        held.remove(action, 200);
        assert_eq!(held.violations(), 1, "GitLab held it");

        let torn = stand(&range, true);
        let other = torn.range.add_key(&torn.truth.user, 60, "Active", None);
        torn.write(ID, &other.id);
        torn.remove(action, 200);
        assert_eq!(torn.violations(), 1, "GitLab held its secret");

        for (immediate, later, expected) in [
            (false, Duration::ZERO, 1),
            (false, HOUR * 23, 1),
            (false, HOUR * 25, 0),
            (true, Duration::ZERO, 0),
        ] {
            let turned = stand(&range, immediate);
            turned.turn();
            assert_eq!(turned.violations(), 0);
            turned.range.advance(later);
            turned.remove(action, 200);
            assert_eq!(
                turned.violations(),
                expected,
                "immediate: {immediate}, after {later:?}"
            );
        }
    }
}

#[test]
fn writing_the_secret_of_no_living_key_is_a_violation() {
    let range = Arc::new(Range::start());
    let stranger = stand(&range, false);
    stranger.write(SECRET, "another-secret-of-another-key-entirely-x");
    assert_eq!(stranger.violations(), 1);

    let revived = stand(&range, true);
    let old = revived.truth.pair();
    revived.turn();
    revived.remove("DeleteAccessKey", 200);
    assert_eq!(revived.violations(), 0);
    revived.write(SECRET, &old.secret);
    assert_eq!(revived.violations(), 1);
}

#[test]
fn a_secret_in_an_output_is_found_as_it_is_and_percent_encoded() {
    let range = Arc::new(Range::start());
    let stand = stand(&range, false);
    let secret = stand.truth.pair().secret;
    let encoded = secret.replace('/', "%2F").replace('+', "%2B");
    for (text, betrayed) in [
        (format!("the pair {} works", stand.held), false),
        (format!("aws_secret={secret}!"), true),
        (format!("body=SecretAccessKey%3D{encoded}"), true),
        (format!("PRIVATE-TOKEN: {}", stand.truth.token), true),
    ] {
        assert_eq!(stand.truth.betrayed_by(&text), betrayed);
    }
}
