//! Both clocks are moved together, or neither.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use testbed::clock::{self, Places};
use testbed::lab::Lab;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn both_clocks_move_or_neither_does() {
    let lab = Lab::start(PathBuf::new()).await.unwrap();
    let places = Places {
        aws: lab.aws.url().parse().unwrap(),
        gitlab: lab.gitlab.url().parse().unwrap(),
    };
    let before = times(&lab).await;
    let mut said = String::new();
    let tell = |text: &str| said.push_str(text);
    clock::run(DAY, Some(places.clone()), tell).await.unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    let moved = times(&lab).await;
    for (before, after) in before.iter().zip(&moved) {
        assert!(
            after.duration_since(*before) >= SignedDuration::from_hours(24),
            "{before} {after}"
        );
    }

    let nowhere = Places {
        gitlab: "http://127.0.0.1:9".parse().unwrap(),
        ..places
    };
    let refused = clock::run(DAY, Some(nowhere), |_| {}).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("no clock was moved: the GitLab stand-in"),
        "{refused:#}"
    );
    for (before, after) in moved.iter().zip(times(&lab).await) {
        assert!(
            after.duration_since(*before) < SignedDuration::from_hours(1),
            "{before} {after}"
        );
    }
}

async fn times(lab: &Lab) -> [Timestamp; 2] {
    let aws = lab.aws.control("GET", "clock", None).await.unwrap();
    let world = aws.get("world").unwrap().as_str().unwrap().parse().unwrap();
    [world, lab.gitlab.world(|world| world.now())]
}
