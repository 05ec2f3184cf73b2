//! Answers that get lost, come late, or are somebody else's.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::gitlab::{Answer, Effect, Fault, Options, Variable};

use crate::client::{Bench, send};

async fn bench() -> Bench {
    let bench = Bench::with(Options {
        starts_at: Some("2026-02-01T10:00:00Z".parse().unwrap()),
        clock_stands: true,
        ..Options::default()
    });
    let bench = bench.await;
    bench
        .gitlab
        .world(|world| world.set_variable(bench.group, Variable::new("KEY", "old")));
    bench
}

fn value(bench: &Bench) -> String {
    bench
        .gitlab
        .world(|world| world.variable(bench.group, "KEY", "*").unwrap().value)
}

#[tokio::test]
async fn answers_of_others_take_the_place_of_the_endpoints() {
    let rows = [
        (
            Answer::InternalError,
            500,
            "application/json",
            r#"{"message":"500 Internal Server Error"}"#,
        ),
        (Answer::BadGateway, 502, "text/html", "<html>"),
        (
            Answer::Throttled { retry_after: 30 },
            429,
            "text/plain",
            "Retry later\n",
        ),
        (
            Answer::Limited,
            429,
            "application/json",
            r#"{"message":{"error":"This endpoint has been requested too many times. Try again later."}}"#,
        ),
        (
            Answer::ReadOnly,
            403,
            "application/json",
            r#"{"message":"You cannot perform write operations on a read-only instance"}"#,
        ),
        (Answer::Html, 200, "text/html", "<!DOCTYPE html>"),
        (
            Answer::Custom {
                status: 503,
                headers: [("x-a".into(), "b".into())].into(),
                body: "wait".into(),
            },
            503,
            "",
            "wait",
        ),
    ];
    for (with, status, content_type, body) in rows {
        for applied in [false, true] {
            let bench = bench().await;
            let effect = Effect::Answer {
                with: with.clone(),
                applied,
            };
            bench.gitlab.fault(Fault::on("PUT", "/variables/KEY", effect));
            let answer = bench.put(&bench.of_group("/KEY"), json!({"value": "new"})).await;
            assert_eq!(answer.status, status, "{with:?}");
            assert!(
                answer
                    .header("content-type")
                    .unwrap_or_default()
                    .starts_with(content_type),
                "{with:?}"
            );
            assert!(answer.text().starts_with(body), "{with:?}");
            assert_eq!(
                answer.header("date"),
                Some("Sun, 01 Feb 2026 10:00:00 GMT"),
                "{with:?}"
            );
            assert_eq!(value(&bench), if applied { "new" } else { "old" }, "{with:?}");
        }
    }
}

#[tokio::test]
async fn only_the_throttle_says_when_to_come_back() {
    let bench = bench().await;
    bench
        .gitlab
        .fault(Fault::on_any(Effect::answer(Answer::Throttled {
            retry_after: 30,
        })));
    bench.gitlab.fault(Fault::on_any(Effect::answer(Answer::Limited)));
    bench.gitlab.fault(Fault::on_any(Effect::answer(Answer::Garbage)));
    let throttled = bench.get(&bench.of_group("")).await;
    for (name, value) in [
        ("retry-after", "30"),
        ("ratelimit-name", "throttle_authenticated_api"),
        ("ratelimit-remaining", "0"),
        ("ratelimit-resettime", "Sun, 01 Feb 2026 10:00:30 GMT"),
        ("ratelimit-reset", "1769940030"),
    ] {
        assert_eq!(throttled.header(name), Some(value), "{name}");
    }
    assert_eq!(bench.get(&bench.of_group("")).await.header("retry-after"), None);
    let garbage = bench.get(&bench.of_group("")).await;
    assert_eq!(garbage.status, 200);
    assert!(std::str::from_utf8(&garbage.bytes).is_err());
    assert_eq!(bench.gitlab.waiting_faults(), []);
}

#[tokio::test]
async fn a_dropped_connection_tells_nothing_of_what_was_done() {
    for (effect, expected) in [
        (Effect::drop_before(), "old"),
        (Effect::drop_after(), "new"),
        (Effect::Truncate, "new"),
    ] {
        let bench = bench().await;
        bench.gitlab.fault(Fault::on("PUT", "/KEY", effect.clone()));
        let outcome = bench
            .try_json("PUT", &bench.of_group("/KEY"), json!({"value": "new"}))
            .await;
        assert!(outcome.is_err(), "{effect:?}: {outcome:?}");
        assert_eq!(value(&bench), expected, "{effect:?}");
        assert_eq!(
            bench.get(&bench.of_group("/KEY")).await.json()["value"],
            expected,
            "{effect:?}"
        );
    }
}

#[tokio::test]
async fn a_dropped_connection_ends_with_a_reset_and_not_one_byte() {
    let bench = bench().await;
    bench.gitlab.fault(Fault::on_any(Effect::drop_before()));
    let mut stream = TcpStream::connect(bench.gitlab.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
        .write_all(b"GET /api/v4/version HTTP/1.1\r\nhost: gitlab\r\n\r\n")
        .unwrap();
    let read = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert_eq!(read, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_late_request_lands_when_the_servers_clock_reaches_its_time() {
    let bench = bench().await;
    bench
        .gitlab
        .fault(Fault::on("PUT", "/KEY", Effect::Late { millis: 300_000 }));
    assert!(
        bench
            .try_json("PUT", &bench.of_group("/KEY"), json!({"value": "late"}))
            .await
            .is_err()
    );
    assert_eq!(
        bench
            .put(&bench.of_group("/KEY"), json!({"value": "new"}))
            .await
            .status,
        200
    );
    assert_eq!(value(&bench), "new");
    bench.gitlab.advance(Duration::from_secs(600));
    assert_eq!(value(&bench), "late");
    let changes = bench.gitlab.world(|world| world.changes().to_vec());
    assert_eq!(changes[2].at.strftime("%H:%M").to_string(), "10:05");
}

#[tokio::test]
async fn a_delayed_request_is_carried_out_after_its_client_has_gone() {
    let bench = bench().await;
    bench
        .gitlab
        .fault(Fault::on("PUT", "/KEY", Effect::Delay { millis: 300 }));
    let request = bench
        .request("PUT", &bench.of_group("/KEY"))
        .header("private-token", &bench.token);
    let request = request
        .timeout(Duration::from_millis(50))
        .json(&json!({"value": "new"}));
    assert!(send(request).await.unwrap_err().is_timeout());
    assert_eq!(value(&bench), "old");
    let started = Instant::now();
    while value(&bench) != "new" {
        assert!(started.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_stalled_request_is_carried_out_before_the_wait() {
    let bench = bench().await;
    bench
        .gitlab
        .fault(Fault::on("PUT", "/KEY", Effect::Stall { millis: 60_000 }));
    let request = bench
        .request("PUT", &bench.of_group("/KEY"))
        .header("private-token", &bench.token);
    let request = request
        .timeout(Duration::from_millis(100))
        .json(&json!({"value": "new"}));
    assert!(send(request).await.unwrap_err().is_timeout());
    assert_eq!(value(&bench), "new");
}

#[tokio::test]
async fn faults_stand_in_line_and_count_the_requests_that_reach_them() {
    let bench = bench().await;
    let answer = |status| {
        Effect::answer(Answer::Custom {
            status,
            headers: Default::default(),
            body: String::new(),
        })
    };
    bench
        .gitlab
        .fault(Fault::on("GET", "/KEY", answer(500)).skip(1).times(2));
    bench
        .gitlab
        .fault(Fault::on("GET", "", answer(503)).containing("page=2").skip(1));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(bench.get(&bench.of_group("/KEY")).await.status);
    }
    for path in ["?page=1", "?page=2", "?page=2", "?page=2"] {
        seen.push(bench.get(&bench.of_group(path)).await.status);
    }
    assert_eq!(seen, [200, 500, 500, 200, 200, 200, 503, 200]);
    bench.gitlab.fault(Fault::on("GET", "/KEY", answer(500)).times(0));
    for _ in 0..3 {
        assert_eq!(bench.get(&bench.of_group("/KEY")).await.status, 500);
    }
    assert_eq!(bench.gitlab.waiting_faults().len(), 1);
}
