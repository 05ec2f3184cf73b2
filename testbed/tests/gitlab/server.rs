//! Starting and stopping, the clock, the journal, and control from outside.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testbed::gitlab::{Certificate, Effect, Fault, GitLab, Options, Variable};

use crate::client::{Bench, ID, SECRET, client_trusting, send};

#[tokio::test]
async fn the_release_is_told_to_any_token_that_may_read() {
    for (version, enterprise) in [("18.2.1-ee", true), ("18.2.1", false)] {
        let bench = Bench::version(version).await;
        for path in ["/metadata", "/version"] {
            let body = bench.get(path).await.json();
            assert_eq!(
                (&body["version"], &body["enterprise"]),
                (&json!(version), &json!(enterprise))
            );
        }
        assert_eq!(send(bench.request("GET", "/metadata")).await.unwrap().status, 401);
    }
    let bench = Bench::version("15.1.0").await;
    assert_eq!(bench.get("/metadata").await.status, 404);
    assert_eq!(bench.get("/version").await.status, 200);
    let nonsense = Options {
        version: "latest".into(),
        ..Options::default()
    };
    assert!(GitLab::start(nonsense).await.is_err());
}

#[tokio::test]
async fn every_response_has_the_date_of_the_servers_clock() {
    let starts_at = Some("2030-12-31T23:59:00Z".parse().unwrap());
    let bench = Bench::with(Options {
        starts_at,
        ..Options::default()
    })
    .await;
    bench.gitlab.advance(Duration::from_secs(60));
    let control = bench.gitlab.control_url();
    for url in [
        format!("{}/metadata", bench.gitlab.url()),
        format!("{}/nothing/here", bench.gitlab.url()),
        format!("{control}/journal"),
        control.replace("_testbed", ""),
    ] {
        let answer = send(bench.client.get(&url)).await.unwrap();
        assert_eq!(
            answer.header("date"),
            Some("Wed, 01 Jan 2031 00:00:00 GMT"),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_the_journal_numbers_it() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.get(&bench.of_group("")).await;
    }
    let connections: Vec<u64> = bench
        .gitlab
        .journal()
        .iter()
        .map(|call| call.connection)
        .collect();
    assert_eq!(connections, [1, 1, 1]);
}

#[tokio::test]
async fn the_journal_names_what_was_sent_and_holds_no_secret() {
    let bench = Bench::new().await;
    let path = bench.of_group("");
    bench
        .post(
            &path,
            json!({"key": "KEY", "value": ID, "environment_scope": "qa"}),
        )
        .await;
    bench
        .put(
            &format!("{path}/KEY?value={ID}"),
            json!({"filter": {"environment_scope": "qa"}}),
        )
        .await;
    bench
        .gitlab
        .fault(Fault::on("DELETE", "/KEY", Effect::drop_before()));
    let dropped = bench.request("DELETE", &format!("{path}/KEY?private_token={}", bench.token));
    assert!(send(dropped).await.is_err());

    let journal = bench.gitlab.journal();
    let told: Vec<_> = journal
        .iter()
        .map(|call| {
            let names: Vec<&str> = call.parameters.iter().map(String::as_str).collect();
            (
                call.method.as_str(),
                call.status,
                names.join(" "),
                call.key.as_deref(),
                call.scope.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "POST",
                Some(201),
                "environment_scope key value".into(),
                Some("KEY"),
                Some("qa")
            ),
            (
                "PUT",
                Some(200),
                "filter[environment_scope] value".into(),
                Some("KEY"),
                Some("qa")
            ),
            ("DELETE", None, "private_token".into(), Some("KEY"), None),
        ]
    );
    assert_eq!(journal[2].fault.as_deref(), Some("drop"));
    assert!(journal.iter().all(|call| call.token.as_deref() == Some("owner")));
    let text = serde_json::to_string(&journal).unwrap();
    assert!(!text.contains(ID) && !text.contains(&bench.token), "{text}");
}

#[tokio::test]
async fn a_reset_leaves_nothing_and_a_stop_frees_the_port() {
    let bench = Bench::new().await;
    bench.gitlab.fault(Fault::on_any(Effect::drop_before()).skip(9));
    bench.get(&bench.of_group("")).await;
    bench.gitlab.reset();
    assert_eq!(
        (bench.gitlab.journal(), bench.gitlab.waiting_faults()),
        (vec![], vec![])
    );
    assert_eq!(bench.get(&bench.of_group("")).await.status, 401);

    let url = bench.gitlab.url();
    let address = bench.gitlab.address();
    bench.gitlab.stop().await;
    assert!(send(bench.client.get(&url)).await.is_err());
    let again = GitLab::start(Options {
        listen: address,
        ..Options::default()
    })
    .await
    .unwrap();
    assert_eq!(again.url(), url);
}

#[tokio::test]
async fn the_control_api_serves_other_processes() {
    let bench = Bench::new().await;
    bench.gitlab.world(|world| {
        world.set_variable(bench.group, Variable::new("KEY", ID));
        world.set_variable(bench.group, Variable::credential("SECRET", SECRET));
    });
    let control = async |method: &str, path: &str, body: Value| {
        let url = format!("{}/{path}", bench.gitlab.control_url());
        let request = if method == "GET" {
            bench.client.get(url)
        } else {
            bench.client.post(url).json(&body)
        };
        let answer = send(request).await.unwrap();
        (answer.status, answer.json())
    };
    let job = format!("job?group={}", bench.group.0);
    assert_eq!(control("GET", &job, json!(null)).await, (200, json!({"KEY": ID})));
    let protected = control("GET", &format!("{job}&protected=true"), json!(null)).await;
    assert_eq!(protected, (200, json!({"KEY": ID, "SECRET": SECRET})));

    let dropped = json!({"method": "DELETE", "effect": {"drop": {"applied": true}}});
    assert_eq!(control("POST", "faults", dropped).await, (200, json!({})));
    assert_eq!(bench.gitlab.waiting_faults()[0].times, 1);
    bench.get(&bench.of_group("")).await;
    let (_, journal) = control("GET", "journal", json!(null)).await;
    assert_eq!(journal.as_array().unwrap().len(), 1);

    let now = bench.gitlab.world(|world| world.now());
    let (_, moved) = control("POST", "clock", json!({"advance": 90})).await;
    let moved: Timestamp = moved["now"].as_str().unwrap().parse().unwrap();
    assert!(moved.duration_since(now) >= SignedDuration::from_secs(90));

    assert_eq!(control("POST", "clock", json!({"advanse": 90})).await.0, 400);
    assert_eq!(control("POST", "faults", json!({"scope": "api"})).await.0, 400);
    assert_eq!(control("GET", "jobs", json!(null)).await.0, 404);
}

#[tokio::test]
async fn a_certificate_is_good_only_for_who_trusts_it_by_its_name_and_in_its_time() {
    let address = ["127.0.0.1"];
    let good = Certificate::new(&address).unwrap();
    for (name, tls, trusted, works) in [
        ("a good one", good.clone(), &good.authority_pem, true),
        (
            "an unknown authority's",
            good.clone(),
            &Certificate::new(&address).unwrap().authority_pem,
            false,
        ),
    ] {
        let bench = Bench::with(Options {
            tls: Some(tls),
            ..Options::default()
        })
        .await;
        let client = client_trusting(trusted);
        let answer = send(client.get(format!("{}/version", bench.gitlab.url()))).await;
        assert_eq!(
            answer.map(|answer| answer.status).ok(),
            works.then_some(401),
            "{name}"
        );
    }
    for (name, tls) in [
        (
            "another server's",
            Certificate::new(&["gitlab.example.com"]).unwrap(),
        ),
        ("an expired one", Certificate::expired(&address).unwrap()),
    ] {
        let client = client_trusting(&tls.authority_pem);
        let bench = Bench::with(Options {
            tls: Some(tls),
            ..Options::default()
        })
        .await;
        let answer = send(client.get(format!("{}/version", bench.gitlab.url()))).await;
        assert!(answer.unwrap_err().is_connect(), "{name}");
    }
    let bench = Bench::with(Options {
        tls: Some(good.clone()),
        ..Options::default()
    })
    .await;
    bench.gitlab.fault(Fault::on_any(Effect::drop_after()));
    let client = client_trusting(&good.authority_pem);
    let version = format!("{}/version", bench.gitlab.url());
    assert!(send(client.get(&version)).await.is_err());
    assert_eq!(send(client.get(&version)).await.unwrap().status, 401);
}

/// A test may block its own runtime while the program it started talks to the stand-in.
#[tokio::test]
async fn requests_are_answered_while_the_test_blocks() {
    use std::io::{Read, Write};
    let bench = Bench::new().await;
    let mut stream = std::net::TcpStream::connect(bench.gitlab.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
        .write_all(b"GET /api/v4/version HTTP/1.1\r\nhost: gitlab\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
